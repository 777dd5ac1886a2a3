# Makes the home of a person with secrets in it, and a workspace below. $1: the folder, $2: the secret, $3: `full` where
# the workspace has repositories inside, a submodule and a linked worktree.
set -euo pipefail
umask 022
home=$1/home ws=$1/home/work/project secret=$2
mkdir -p "$1"/{run,out/inner} "$home"/{.ssh,.aws,.kube,.docker,.gnupg,.cargo/bin,.local/bin,.local/share/keyrings,bin} \
  "$home"/.config/{codetether,gcloud,pip,gh,autostart} "$home"/{.codex,.claude,.mozilla} "$home"/work/{sibling,lib} "$home/.cache" "$ws"
for file in .ssh/id_ed25519 .aws/credentials .kube/config .docker/config.json .gnupg/private.key .netrc .npmrc .pypirc \
  .git-credentials .bash_history .cargo/credentials.toml .config/codetether/keys.toml .config/gcloud/adc.json \
  .config/gh/hosts.yml .config/pip/pip.conf .codex/auth.json .claude/.credentials.json .mozilla/cookies.sqlite \
  .local/share/keyrings/login.keyring work/sibling/.env; do
  echo "# $secret" >"$home/$file"
done
for file in .bashrc .profile .ssh/authorized_keys .config/codetether/config.toml .cargo/config.toml .local/bin/tool \
  work/sibling/main.c; do
  echo "# theirs" >"$home/$file"
done
echo theirs >"$1/out/file"
echo theirs >"$1/out/inner/file"
chmod 755 "$home/.local/bin/tool"
cat >"$home/.gitconfig" <<END
[user]
	name = Ada
	email = ada@example.com
[init]
	defaultBranch = main
[protocol "file"]
	allow = always
[advice]
	addEmbeddedRepo = false
END
export HOME=$home GIT_CONFIG_NOSYSTEM=1 GIT_TEMPLATE_DIR=
make() { # a repository with one commit
  mkdir -p "$1"
  git -C "$1" init --quiet --template=
  mkdir "$1/.git/hooks" "$1/.git/info"
  printf '#!/bin/sh\n' >"$1/.git/hooks/post-commit"
  chmod 755 "$1/.git/hooks/post-commit"
  echo one >"$1/a.txt"
  git -C "$1" add a.txt
  git -C "$1" commit --quiet --message=Start
}
make "$ws"
cd "$ws"
mkdir -p .codetether .vscode .claude .cursor .idea src
echo 'model = "openai/one"' >.codetether/config.toml
for file in .vscode/tasks.json .claude/settings.json .cursor/mcp.json .mcp.json .idea/workspace.xml; do echo '{}' >$file; done
echo one >src/main.txt
if [[ $3 == full ]]; then
  make "$home/work/lib"
  make "$ws/nested"
  make "$ws/one/two/three/four/repo"
  cd "$ws"
  printf 'nested/\none/\n' >.git/info/exclude
  git submodule --quiet add "$home/work/lib" sub
  mkdir -p .git/modules/sub/hooks
fi
git add --all
git commit --quiet --amend --message=Start
if [[ $3 == full ]]; then
  git worktree add --quiet -b side "$home/work/tree"
fi
rm -rf "$home"/work/*/.git/{logs,ORIG_HEAD,COMMIT_EDITMSG,description,branches}
