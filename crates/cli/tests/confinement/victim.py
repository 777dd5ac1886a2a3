# A process of the host that others could harm or rob. argv: secret, folder, token, what it shall offer.
import ctypes, json, os, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
secret, folder, token, wants = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4].split(",")
signal.signal(signal.SIGUSR1, signal.SIG_DFL)
buffer = ctypes.create_string_buffer(secret.encode(), 128)
shared = f"/dev/shm/{token}"
names = {"PID": os.getpid(), "MEM": ctypes.addressof(buffer), "TID": os.getpid()}


def check(value):
    if value < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return value


with open(f"{folder}/run/open.txt", "w+") as file:
    file.write(secret)
fd = os.open(f"{folder}/run/open.txt", os.O_RDONLY)
os.unlink(f"{folder}/run/open.txt")
names["FD"] = fd
if "SHM" in wants:
    shm = check(libc.shmget(0, 4096, 0o1600))
    libc.shmat.restype = ctypes.c_void_p
    attached = libc.shmat(shm, None, 0)
    libc.shmctl(shm, 0, None)  # it goes when the last one lets go
    ctypes.memmove(attached, secret.encode(), len(secret))
    names["SHM"] = shm
if "MSG" in wants:
    names["MSG"] = check(libc.msgget(0, 0o1600))
if "SEM" in wants:
    names["SEM"] = check(libc.semget(0, 1, 0o1600))
if "MQ" in wants:
    names["MQ"] = f"/{token}"
    mq = check(libc.mq_open(f"/{token}".encode(), os.O_CREAT | os.O_RDWR | os.O_NONBLOCK, 0o600, None))
if "POSIX" in wants:
    names["POSIX"] = shared
    with open(shared, "w") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(secret)
if "KEY" in wants:
    names["KEY"] = check(libc.syscall(248, b"user", token.encode(), secret.encode(), len(secret), -4))
    # whoever is this user may read, write and see it, in whatever session
    check(libc.syscall(250, 5, names["KEY"], 0x3F3F0000, 0, 0))
if "HANDLE" in wants:
    handle = ctypes.create_string_buffer(8 + 128)
    ctypes.cast(handle, ctypes.POINTER(ctypes.c_uint))[0] = 128
    mount = ctypes.c_int()
    path = f"{folder}/home/.ssh/id_ed25519".encode()
    check(libc.name_to_handle_at(-100, path, handle, ctypes.byref(mount), 0))
    length = ctypes.cast(handle, ctypes.POINTER(ctypes.c_uint))[0]
    names["HANDLE"] = handle.raw[: 8 + length].hex()
print(json.dumps({name: str(value) for name, value in names.items()}), flush=True)


def state():
    now = {"memory": buffer.raw.hex()}
    if "SHM" in wants:
        now["shm"] = ctypes.string_at(attached, 64).hex()
    if "MSG" in wants:
        text = ctypes.create_string_buffer(256)
        now["msg"] = [libc.msgrcv(names["MSG"], text, 200, 0, 0o4000), ctypes.get_errno()]
    if "SEM" in wants:
        now["sem"] = libc.semctl(names["SEM"], 0, 12)
    if "MQ" in wants:
        text = ctypes.create_string_buffer(65536)
        now["mq"] = libc.mq_receive(mq, text, 65536, None)
    if "POSIX" in wants:
        now["posix"] = open(shared).read() if os.path.exists(shared) else None
    if "KEY" in wants:
        text = ctypes.create_string_buffer(256)
        length = libc.syscall(250, 11, names["KEY"], text, 256, 0)
        now["key"] = text.raw[: max(length, 0)].hex()
        now["planted"] = libc.syscall(250, 10, -4, b"user", f"{token}-planted".encode(), 0)
    return now


for line in sys.stdin:
    print(json.dumps(state()), flush=True)
if "MSG" in wants:
    libc.msgctl(names["MSG"], 0, None)
if "SEM" in wants:
    libc.semctl(names["SEM"], 0, 0)
if "MQ" in wants:
    libc.mq_unlink(f"/{token}".encode())
if "POSIX" in wants and os.path.exists(shared):
    os.unlink(shared)
if "KEY" in wants:
    libc.syscall(250, 9, names["KEY"], -4, 0, 0)
    planted = libc.syscall(250, 10, -4, b"user", f"{token}-planted".encode(), 0)
    if planted > 0:
        libc.syscall(250, 9, planted, -4, 0, 0)
