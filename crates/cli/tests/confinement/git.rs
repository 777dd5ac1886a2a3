//! Attempts to make git outside, run later by a person, do what the workspace says: by hooks, settings, attributes, and
//! by putting another repository in the place of one that is there.

use crate::attempt::Category::Git;
use crate::attempt::Judge::Changed;
use crate::attempt::{Attempt, Who, bash};

const MARK: crate::attempt::Judge = Changed("@RUN@/mark");

/// What a person does next.
const WORK: &str =
    "git status; echo x >>a.txt; git diff; git add a.txt; git commit -m x; git checkout -q HEAD -- a.txt";

/// A hook that leaves a mark.
macro_rules! hook {
    ($place:literal) => {
        concat!(
            "mkdir -p ",
            $place,
            "; printf '#!/bin/sh\ntouch @RUN@/mark\n' >",
            $place,
            "/pre-commit; chmod 755 ",
            $place,
            "/pre-commit"
        )
    };
}

pub(crate) const ATTEMPTS: &[Attempt] = &[
    bash(Git, "plants a hook", hook!(".git/hooks"), MARK).host_then(WORK),
    bash(Git, "plants a hook where there is no folder for them", hook!(".git/hooks"), MARK)
        .before("rm -r @WS@/.git/hooks").host_then(WORK),
    bash(Git, "changes a hook that is there", "echo 'touch @RUN@/mark' >>.git/hooks/post-commit", MARK).host_then(WORK),
    bash(Git, "puts a hook in the place of one", "printf '#!/bin/sh\ntouch @RUN@/mark\n' >h; chmod 755 h; mv -f h .git/hooks/post-commit", MARK).host_then(WORK),
    bash(Git, "puts a folder of hooks in the place of the one", "mv .git/hooks .git/old; cp -r .git/old .git/hooks; echo 'touch @RUN@/mark' >>.git/hooks/post-commit", MARK).host_then(WORK),
    bash(Git, "puts a link in the place of the hooks", r#"
mkdir h
printf '#!/bin/sh
touch @RUN@/mark
' >h/pre-commit
chmod 755 h/pre-commit
rm -rf .git/hooks
ln -s ../h .git/hooks
"#, MARK).host_then(WORK),
    bash(Git, "sets a watcher", "git config core.fsmonitor 'touch @RUN@/mark; false'", MARK).host_then(WORK),
    bash(Git, "sets another folder of hooks", concat!("git config core.hooksPath h; ", hook!("h")), MARK).host_then(WORK),
    bash(Git, "writes the settings in place", "printf '[core]\n\tfsmonitor = touch @RUN@/mark\n' >>.git/config", MARK).host_then(WORK),
    bash(Git, "puts other settings in the place of these", "cp .git/config c; printf '[core]\n\tfsmonitor = touch @RUN@/mark\n' >>c; mv -f c .git/config", MARK).host_then(WORK),
    bash(Git, "puts another repository in the place of this", "mv .git g; cp -r g .git; printf '[core]\n\tfsmonitor = touch @RUN@/mark\n' >>.git/config", MARK).host_then(WORK),
    bash(Git, "points to another repository by a file", r#"
cp -r .git g
printf '[core]
	fsmonitor = touch @RUN@/mark
' >>g/config
rm -rf .git
echo 'gitdir: g' >.git
"#, MARK).host_then(WORK),
    bash(Git, "names another common folder", "cp -r .git g; printf '[core]\n\tfsmonitor = touch @RUN@/mark\n' >>g/config; echo ../g >.git/commondir", MARK).host_then(WORK),
    bash(Git, "makes settings of the worktree's own", "printf '[core]\n\tfsmonitor = touch @RUN@/mark\n' >.git/config.worktree", MARK)
        .before("git -C @WS@ config extensions.worktreeConfig true").host_then(WORK),
    bash(Git, "lets a filter that is set up apply to more", "echo '* filter=mark' >.git/info/attributes", MARK)
        .before("git -C @WS@ config filter.mark.clean 'touch @RUN@/mark; cat'").host_then(WORK),
    bash(Git, "changes settings that these include", "printf '[core]\n\tfsmonitor = touch @RUN@/mark\n' >>shared.gitconfig", MARK)
        .before("cd @WS@; touch shared.gitconfig; git config include.path ../shared.gitconfig").host_then(WORK),
    bash(Git, "makes settings that these include", "printf '[core]\n\tfsmonitor = touch @RUN@/mark\n' >>shared.gitconfig", MARK)
        .before("cd @WS@; git config include.path ../shared.gitconfig").host_then(WORK),
    bash(Git, "changes a hook where the settings have them", "echo 'touch @RUN@/mark' >>.husky/pre-commit", MARK)
        .before(r#"
cd @WS@
mkdir .husky
printf '#!/bin/sh
' >.husky/pre-commit
chmod 755 .husky/pre-commit
git config core.hooksPath .husky
"#).host_then(WORK),
    bash(Git, "makes a hook where the settings have them", hook!(".husky/_"), MARK)
        .before("cd @WS@; git config core.hooksPath .husky/_").host_then(WORK),
    bash(Git, "changes a program that the settings name", "echo 'touch @RUN@/mark' >>tools/watch", MARK)
        .before(r#"
cd @WS@
mkdir tools
printf '#!/bin/sh
' >tools/watch
chmod 755 tools/watch
git config core.fsmonitor ./tools/watch
"#).host_then(WORK),
    bash(Git, "plants a hook in a repository inside", hook!("nested/.git/hooks"), MARK).host_then("cd nested; git commit --allow-empty -m x"),
    bash(Git, "plants a hook in a repository deep inside", hook!("one/two/three/four/repo/.git/hooks"), MARK)
        .host_then("cd one/two/three/four/repo; git commit --allow-empty -m x"),
    bash(Git, "plants a hook in a repository very deep inside", hook!("1/2/3/4/5/6/7/8/9/10/11/.git/hooks"), MARK)
        .before("cd @WS@; mkdir -p 1/2/3/4/5/6/7/8/9/10/11; git init -q 1/2/3/4/5/6/7/8/9/10/11").host_then("cd 1/2/3/4/5/6/7/8/9/10/11; git commit --allow-empty -m x"),
    bash(Git, "plants a hook in a repository among packages", hook!("node_modules/dep/.git/hooks"), MARK)
        .before("cd @WS@; git init -q node_modules/dep").host_then("cd node_modules/dep; git commit --allow-empty -m x"),
    bash(Git, "plants a hook in a repository among build products", hook!("target/dep/.git/hooks"), MARK)
        .before("cd @WS@; git init -q target/dep").host_then("cd target/dep; git commit --allow-empty -m x"),
    bash(Git, "changes the settings of a repository inside", "git -C nested config core.fsmonitor 'touch @RUN@/mark; false'", MARK).host_then("git -C nested status"),
    bash(Git, "puts a folder in the place of one with a repository", "mv nested n; cp -r n nested; printf '[core]\n\tfsmonitor = touch @RUN@/mark\n' >>nested/.git/config", MARK).host_then("git -C nested status"),
    bash(Git, "puts a folder far above in the place of one with a repository", r#"
mv one n
cp -r n one
printf '[core]
	fsmonitor = touch @RUN@/mark
' >>one/two/three/four/repo/.git/config
"#, MARK).host_then("git -C one/two/three/four/repo status"),
    bash(Git, "puts a link in the place of a folder with a repository", r#"
mv nested n
cp -r n m
printf '[core]
	fsmonitor = touch @RUN@/mark
' >>m/.git/config
ln -s m nested
"#, MARK).host_then("git -C nested status"),
    bash(Git, "plants a hook in a submodule", hook!(".git/modules/sub/hooks"), MARK).host_then("cd sub; git commit --allow-empty -m x"),
    bash(Git, "changes the settings of a submodule", "git -C sub config core.fsmonitor 'touch @RUN@/mark; false'", MARK).host_then(WORK),
    bash(Git, "puts other modules in the place of these", r#"
mv .git/modules .git/m
cp -r .git/m .git/modules
printf '[core]
	fsmonitor = touch @RUN@/mark
' >>.git/modules/sub/config
"#, MARK).host_then(WORK),
    bash(Git, "points a submodule elsewhere", r#"
cp -r .git/modules/sub g
printf '[core]
	fsmonitor = touch @RUN@/mark
	worktree = @WS@/sub
' >>g/config
rm -f sub/.git
echo 'gitdir: ../g' >sub/.git
"#, MARK).host_then(WORK),
    bash(Git, "puts a folder in the place of a submodule", r#"
mv sub s
cp -r s sub
rm -f sub/.git
cp -r .git/modules/sub sub/.git
printf '[core]
	fsmonitor = touch @RUN@/mark
	worktree = @WS@/sub
' >>sub/.git/config
"#, MARK).host_then(WORK),
    bash(Git, "makes a submodule of a new repository", r#"
git init -q new
git -C new -c user.name=x -c user.email=x commit -q --allow-empty -m x
git -C new config core.fsmonitor 'touch @RUN@/mark; false'
git add new
"#, MARK).host_then("git status"),
    bash(Git, "makes a repository that a person adds", r#"
git init -q new
git -C new -c user.name=x -c user.email=x commit -q --allow-empty -m x
git -C new config core.fsmonitor 'touch @RUN@/mark; false'
"#, MARK).host_then("git add . 2>/dev/null; git status"),
    bash(Git, "makes a repository with a hook", concat!("git init -q new; cd new; ", hook!(".git/hooks")), MARK)
        .host_then("cd new; git commit --allow-empty -m x"),
    bash(Git, "makes a repository with settings elsewhere", r#"
git init -q new
printf '[core]\n\tfsmonitor = touch @RUN@/mark\n' >new/more
git -C new config include.path ../more
git add new 2>/dev/null
"#, MARK).host_then("git -C new status"),
    bash(Git, "makes a repository with settings that are hard to read", r#"
git init -q new
printf '[user]\n# x \\\n[core]\nfsmonitor = touch @RUN@/mark\n' >>new/.git/config
"#, MARK).host_then("git -C new status"),
    bash(Git, "makes a submodule whose repository is hidden among packages", r#"
mkdir -p node_modules/a/b/c
git init -q new
git -C new -c user.name=x -c user.email=x commit -q --allow-empty -m x
git -C new config core.fsmonitor 'touch @RUN@/mark; false'
mv new/.git node_modules/a/b/c/g
echo 'gitdir: ../node_modules/a/b/c/g' >new/.git
git add new
"#, MARK).host_then("git status"),
    bash(Git, "leads to a repository first and fills it afterwards", r#"
mkdir -p node_modules/a/b/c new
git init -q node_modules/a/b/c/g
mv node_modules/a/b/c/g/.git node_modules/a/b/c/h
echo 'gitdir: ../node_modules/a/b/c/h' >new/.git
"#, MARK).and_then("git --git-dir=node_modules/a/b/c/h config core.fsmonitor 'touch @RUN@/mark; false'")
        .host_then("git -C new status"),
    bash(Git, "makes a submodule deep among packages", r#"
mkdir -p node_modules/a/b/c
git init -q node_modules/a/b/c/d
git -C node_modules/a/b/c/d -c user.name=x -c user.email=x commit -q --allow-empty -m x
git -C node_modules/a/b/c/d config core.fsmonitor 'touch @RUN@/mark; false'
git add -f node_modules/a/b/c/d
"#, MARK).host_then("git status"),
    bash(Git, "makes a worktree with a common folder of its own", r#"
git init -q new
git -C new config core.fsmonitor 'touch @RUN@/mark; false'
mkdir -p tree node_modules/a/b/c/g
mv new/.git node_modules/a/b/c/common
cp node_modules/a/b/c/common/HEAD node_modules/a/b/c/g
echo ../common >node_modules/a/b/c/g/commondir
echo 'gitdir: ../node_modules/a/b/c/g' >tree/.git
"#, MARK).host_then("git -C tree status"),
    bash(Git, "makes more repositories than are told of", r#"
for n in $(seq -w 30); do
  git init -q d$n
  git -C d$n config core.fsmonitor 'touch @RUN@/mark; false'
  printf '#!/bin/sh\ntouch @RUN@/mark\n' >d$n/.git/hooks/pre-commit
  chmod +x d$n/.git/hooks/pre-commit
done
"#, MARK).host_then("for n in d*; do git -C $n status; done"),
    bash(Git, "makes a repository with two sections on a line", r#"
git init -q new
printf '[color] [core] fsmonitor = touch @RUN@/mark\n' >>new/.git/config
"#, MARK).host_then("git -C new status"),
    bash(Git, "makes a repository with a common folder", r#"
git init -q new
mv new/.git common
mkdir new/.git
mv common/HEAD new/.git
echo ../../common >new/.git/commondir
printf '[core]\n\tfsmonitor = touch @RUN@/mark\n' >>common/config
"#, MARK).host_then("git -C new status"),
    bash(Git, "makes a bare repository with a common folder", r#"
git init -q --bare new
mkdir common
mv new/objects new/refs new/config common
echo ../common >new/commondir
printf '[alias]\n\tst = !touch @RUN@/mark\n' >>common/config
"#, MARK).host_then("git -C new st"),
    bash(Git, "takes the names that settings would be set aside under", r#"
git init -q new
git -C new config core.fsmonitor 'touch @RUN@/mark; false'
mkdir new/.git/config.harmless new/.git/config.disarmed
for n in $(seq 100); do mkdir new/.git/config.disarmed-$n; done
"#, MARK).host_then("git -C new status"),
    bash(Git, "makes a bare repository beside a folder that is none", r#"
git init -q sub2
mv sub2/.git/* sub2
printf '[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = @WS@/sub2\n\tfsmonitor = touch @RUN@/mark\n' >sub2/config
"#, MARK).host_then("git -C sub2 status"),
    bash(Git, "leads to a repository whose name ends in a blank", r#"
mkdir new "node_modules"
git init -q new
mkdir -p node_modules/a/b/c
cp -r new/.git node_modules/a/b/c/g
mv new/.git "node_modules/a/b/c/g "
git --git-dir="node_modules/a/b/c/g " config core.fsmonitor 'touch @RUN@/mark; false'
printf 'gitdir: ../node_modules/a/b/c/g \n' >new/.git
"#, MARK).host_then("git -C new status"),
    bash(Git, "leads to a repository whose name is no text", r#"
mkdir -p new node_modules/a/b/c
git init -q new
mv new/.git node_modules/a/b/c/$'g\xff'
git --git-dir=node_modules/a/b/c/$'g\xff' config core.fsmonitor 'touch @RUN@/mark; false'
printf 'gitdir: ../node_modules/a/b/c/g\xff\n' >new/.git
"#, MARK).host_then("git -C new status"),
    bash(Git, "makes a submodule within a submodule", r#"
git init -q --bare .git/modules/other
git init -q --bare .git/modules/other/modules/inner
git --git-dir=.git/modules/other/modules/inner config core.bare false
git --git-dir=.git/modules/other/modules/inner config core.fsmonitor 'touch @RUN@/mark; false'
"#, MARK).host_then("git --git-dir=.git/modules/other/modules/inner --work-tree=sub status"),
    bash(Git, "leads modules elsewhere by a link", r#"
git init -q new
mkdir -p node_modules/a/b/c/m
git init -q --bare node_modules/a/b/c/m/inner
git --git-dir=node_modules/a/b/c/m/inner config core.bare false
git --git-dir=node_modules/a/b/c/m/inner config core.fsmonitor 'touch @RUN@/mark; false'
ln -s ../../node_modules/a/b/c/m new/.git/modules
"#, MARK).host_then("git --git-dir=new/.git/modules/inner --work-tree=new status"),
    bash(Git, "leads to a repository that is not there inside", r#"
mkdir new
echo 'gitdir: @RUN@/evil' >new/.git
"#, MARK).before("git init -q --bare @RUN@/evil; git --git-dir=@RUN@/evil config core.bare false; git --git-dir=@RUN@/evil config core.fsmonitor 'touch @RUN@/mark; false'")
        .host_then("git -C new status"),
    bash(Git, "makes a repository very deep", r#"
deep=$(printf 'd/%.0s' $(seq 40))
mkdir -p $deep
git init -q $deep
git -C $deep config core.fsmonitor 'touch @RUN@/mark; false'
"#, MARK).host_then("git -C $(printf 'd/%.0s' $(seq 40)) status"),
    bash(Git, "makes a repository whose files are elsewhere", r#"
git init -q new
echo mine >new/victim
git -C new add victim
git -C new -c user.name=x -c user.email=x commit -qm x
git -C new config core.worktree @RUN@
mv new/.git/config c; mv c new/.git/config
"#, Changed("@RUN@/victim")).before("echo yours >@RUN@/victim").host_then("git -C new checkout -f -- victim"),
    bash(Git, "plants a hook by a linked worktree", hook!("@HOME@/work/project/.git/hooks"), MARK).at("@HOME@/work/tree").host_then("git commit --allow-empty -m x"),
    bash(Git, "changes settings by a linked worktree", "git config core.fsmonitor 'touch @RUN@/mark; false'", MARK).at("@HOME@/work/tree").host_then("git status"),
    bash(Git, "points a linked worktree elsewhere", r#"
cp -r @HOME@/work/project/.git g
printf '[core]
	fsmonitor = touch @RUN@/mark
' >>g/config
rm -f .git
echo 'gitdir: g' >.git
"#, MARK).at("@HOME@/work/tree").host_then("git status"),
    bash(Git, "gives a linked worktree another common folder", r#"
cp -r @HOME@/work/project/.git g
printf '[core]
	fsmonitor = touch @RUN@/mark
' >>g/config
echo @HOME@/work/tree/g >@HOME@/work/project/.git/worktrees/tree/commondir
"#, MARK).at("@HOME@/work/tree").host_then("git status"),
    bash(Git, "changes files of the main tree by a linked worktree", "echo x >>@WS@/a.txt", Changed("@WS@/a.txt")).at("@HOME@/work/tree"),
    bash(Git, "plants a hook in a bare repository", hook!("mirror.git/hooks"), MARK)
        .before("git init -q --bare @WS@/mirror.git").host_then(r#"
printf '#!/bin/sh
' >/dev/null
git -C mirror.git config core.bare false
git --git-dir=mirror.git --work-tree=. commit --allow-empty -m x
"#),
    bash(Git, "plants a hook in a repository that could not be looked into", concat!("chmod 755 locked; ", hook!("locked/.git/hooks")), MARK)
        .before("cd @WS@; git init -q locked; chmod 000 locked").host_then("cd locked; git commit --allow-empty -m x"),
    bash(Git, "plants a hook in a repository of an odd name", concat!("cd odd*; ", hook!(".git/hooks")), MARK)
        .before("cd @WS@; git init -q $'odd\\n,:\\\\\"name = \\'x'").host_then("cd odd*; git commit --allow-empty -m x"),
    bash(Git, "plants a hook in a repository whose name is no text", concat!("cd raw*; ", hook!(".git/hooks")), MARK)
        .before("cd @WS@; git init -q $'raw\\xff\\xfe'").host_then("cd raw*; git commit --allow-empty -m x"),
    bash(Git, "plants a hook where a link of the repository has them", hook!("githooks"), MARK)
        .before("cd @WS@; mkdir githooks; rm -r .git/hooks; ln -s ../githooks .git/hooks").host_then(WORK),
    bash(Git, "changes settings that are a link to the workspace", "printf '[core]\n\tfsmonitor = touch @RUN@/mark\n' >>gitconfig", MARK)
        .before("cd @WS@; mv .git/config gitconfig; ln -s ../gitconfig .git/config").host_then(WORK),
    bash(Git, "changes the settings of a repository that is a link", "printf '[core]\n\tfsmonitor = touch @RUN@/mark\n' >>meta/config", MARK)
        .before("cd @WS@; mv .git meta; ln -s meta .git").host_then(WORK),
    bash(Git, "changes the settings of a repository that is elsewhere", "printf '[core]\n\tfsmonitor = touch @RUN@/mark\n' >>meta/config", MARK)
        .before("cd @WS@; git init -q --separate-git-dir=meta .").host_then(WORK),
    bash(Git, "leads the message of a commit elsewhere by a link", "ln -sf @RUN@/rc .git/COMMIT_EDITMSG; echo 'touch pwned' >.git/SQUASH_MSG; echo x >>a.txt", Changed("@RUN@/rc"))
        .host_then("git add a.txt; GIT_EDITOR=true git commit -q"),
    bash(Git, "leads the log of a branch elsewhere by a link", "mkdir -p .git/logs; ln -sf @RUN@/rc .git/logs/HEAD", Changed("@RUN@/rc"))
        .before("touch @RUN@/rc").host_then("echo x >>a.txt; git commit -qam x"),
    bash(Git, "leads the folder of branches elsewhere by a link", "mv .git/refs/heads .git/refs/h; ln -s @RUN@/heads .git/refs/heads", Changed("@RUN@/heads/main"))
        .before("mkdir @RUN@/heads").host_then("git commit -q --allow-empty -m x"),
    bash(Git, "leads the objects elsewhere by a link", "mv .git/objects .git/o; ln -s @RUN@/objects .git/objects", Changed("@RUN@/objects/56/26abf0f72e58d7a153368ba57db4c673c0e171"))
        .before("mkdir @RUN@/objects").host_then("git hash-object -w a.txt"),
    bash(Git, "leads the index elsewhere by a link", "rm .git/index; ln -s @RUN@/victim .git/index", Changed("@RUN@/victim"))
        .host_then("git add a.txt"),
    bash(Git, "leads a list of files elsewhere by a link", "ln -s @RUN@/rc .git/info/sparse-checkout", Changed("@RUN@/rc"))
        .host_then("git sparse-checkout set --no-cone a.txt"),
    bash(Git, "leads the message of a commit to the settings", r#"
ln -sf config .git/COMMIT_EDITMSG
printf '[core]\n\trepositoryformatversion = 0\n\tfsmonitor = touch @RUN@/mark; false\n' >.git/SQUASH_MSG
echo x >>a.txt
"#, MARK).host_then("git add a.txt; GIT_EDITOR=true git commit -q; git status"),
    // The folder's name in two parts: a scene with submodules of its own would hold it.
    bash(Git, "makes the message of a commit another name of a module's settings", r#"
M=.git/mod''ules
git init -q --bare $M/evil
git --git-dir=$M/evil config core.bare false
GIT_DIR=$M/evil GIT_WORK_TREE=. git -c user.name=x -c user.email=x commit -q --allow-empty -m x
mkdir evil
echo "gitdir: ../$M/evil" >evil/.git
git config -f $M/evil/config core.worktree ../../../evil
git add evil
rm -f .git/COMMIT_EDITMSG
ln $M/evil/config .git/COMMIT_EDITMSG
printf '[core]\n\trepositoryformatversion = 0\n\tfsmonitor = touch @RUN@/mark; false\n' >.git/SQUASH_MSG
"#, MARK).host_then("GIT_EDITOR=true git commit; git -C evil status"),
    bash(Git, "leads the main tree's message elsewhere by a linked worktree", r#"
ln -sf @RUN@/rc @HOME@/work/project/.git/COMMIT_EDITMSG
echo 'touch pwned' >@HOME@/work/project/.git/SQUASH_MSG
"#, Changed("@RUN@/rc")).at("@HOME@/work/tree")
        .host_then("cd @WS@; echo x >>a.txt; git add a.txt; GIT_EDITOR=true git commit -q"),
    bash(Git, "borrows objects of a repository hidden in this one", r#"
git init -q --bare .git/evil
mkdir -p .git/evil/refs/heads
echo 1234567890123456789012345678901234567890 >.git/evil/refs/heads/x
printf '[core]\n\trepositoryformatversion = 1\n[extensions]\n\tpartialClone = o\n[remote "o"]\n\turl = /tmp/nowhere\n\tpromisor = true\n\tuploadpack = touch @RUN@/mark;\n' >.git/evil/config
"#, MARK).host_then("git --git-dir=.git/evil cat-file -p 1234567890123456789012345678901234567890"),
    bash(Git, "makes a module whose `HEAD` is a link that leads nowhere", r#"
git init -q --bare .git/modules/evil
git --git-dir=.git/modules/evil config core.bare false
GIT_DIR=.git/modules/evil GIT_WORK_TREE=. git -c user.name=x -c user.email=x commit -q --allow-empty -m x
C=$(git --git-dir=.git/modules/evil rev-parse HEAD)
cd .git/modules/evil
rm HEAD
echo $C refs/heads/zz >packed-refs
ln -s refs/heads/zz HEAD
printf '[core]\n\tfsmonitor = touch @RUN@/mark; false\n\tworktree = ../../../evil\n' >>config
cd @WS@
mkdir evil
printf '[submodule "evil"]\n\tpath = evil\n\turl = ./x\n' >.gitmodules
git update-index --add --cacheinfo 160000,$C,evil
git add .gitmodules
"#, MARK).host_then("git submodule update --init; git --git-dir=.git/modules/evil --work-tree=evil status; git status"),
    bash(Git, "leads one module elsewhere by a link", r#"
git init -q --bare .git/hid
git --git-dir=.git/hid config core.bare false
git --git-dir=.git/hid config core.fsmonitor 'touch @RUN@/mark; false'
mkdir -p .git/modules
ln -s ../hid .git/modules/evil
"#, MARK).host_then("git --git-dir=.git/modules/evil --work-tree=. status; git --git-dir=.git/hid --work-tree=. status"),
    bash(Git, "hides a module behind very many folders", r#"
M=.git/mod''ules
mkdir -p $M/junk
(cd $M/junk; seq 20100 | xargs mkdir)
git init -q --bare $M/a/evil
git --git-dir=$M/a/evil config core.bare false
git --git-dir=$M/a/evil config core.fsmonitor 'touch @RUN@/mark; false'
"#, MARK).host_then("git --git-dir=.git/mod''ules/a/evil --work-tree=. status"),
    bash(Git, "makes modules in modules, thirty deep", r#"
git init -q new
p=new/.git
for n in $(seq 30); do
  p=$p/modules/m
  mkdir -p $p/objects $p/refs
  echo 'ref: refs/heads/main' >$p/HEAD
done
git -C new config core.fsmonitor 'touch @RUN@/mark; false'
"#, MARK).host_then("git -C new status"),
    bash(Git, "makes a repository of pipes", r#"
mkdir pipes
cd pipes
echo 'ref: refs/heads/main' >HEAD
mkfifo -m 755 refs
mkdir objects
printf '[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = .\n\tfsmonitor = touch @RUN@/mark; false\n' >config
"#, MARK).host_then("cd pipes; timeout 5 git status"),
    bash(Git, "makes a repository of a socket", r#"
mkdir pipes
cd pipes
echo 'ref: refs/heads/main' >HEAD
mkdir objects
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("refs")'
chmod 755 refs
printf '[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = .\n\tfsmonitor = touch @RUN@/mark; false\n' >config
"#, MARK).host_then("cd pipes; timeout 5 git status"),
    bash(Git, "makes a submodule whose path is very long", r#"
git commit -q --allow-empty -m x
python3 - <<'X'
import os
ws = '@WS@'
left, parts = 4093 - len(ws), []
while left > 0:
    part = min(250, left - 1)
    parts.append('d' * part)
    left -= part + 1
for part in parts:
    os.mkdir(part)
    os.chdir(part)
os.mkdir('.git')
for name in ('objects', 'refs', 'refs/heads'):
    os.mkdir('.git/' + name)
open('.git/HEAD', 'w').write('ref: refs/heads/main\n')
open('.git/config', 'w').write('[core]\nrepositoryformatversion=0\nbare=false\nfsmonitor=touch @RUN@/mark; false\n')
open(ws + '/p', 'w').write('/'.join(parts))
X
git update-index --add --cacheinfo 160000,$(git rev-parse HEAD),$(cat p)
"#, MARK).host_then("git status"),
    bash(Git, "moves a deep folder away and puts another in its place", "mkdir -p $(printf 'd/%.0s' $(seq 26))", MARK)
        .and_then(r#"
mv d x
deep=$(printf 'd/%.0s' $(seq 26))
mkdir -p $deep
git init -q $deep
git -C $deep config core.fsmonitor 'touch @RUN@/mark; false'
"#).host_then("git -C $(printf 'd/%.0s' $(seq 26)) status"),
    bash(Git, "leads a file that says where a repository is elsewhere by a link on its way", "ln -sfn @RUN@ way", MARK)
        .before(r#"
cd @WS@
git init -q way.d/g0
mv way.d/g0/.git way.d/g
ln -s way.d way
mkdir p
echo 'gitdir: ../way/g' >p/.git
git init -q @RUN@/g0
mv @RUN@/g0/.git @RUN@/g
git config -f @RUN@/g/config core.fsmonitor 'touch @RUN@/mark; false'
"#).host_then("git -C p status"),
    bash(Git, "hides hooks in a folder that cannot be listed", concat!("git init -q new; cd new; rm -rf .git/hooks; ", hook!(".git/hooks"), "; chmod 311 .git/hooks"), MARK)
        .only(Who::NormalUser).host_then("cd new; git commit --allow-empty -m x"),
    bash(Git, "makes a repository in a folder that cannot be listed", r#"
git init -q new
git -C new config core.fsmonitor 'touch @RUN@/mark; false'
chmod 311 new
"#, MARK).only(Who::NormalUser).host_then("cd new; git status"),
    bash(Git, "makes a repository that cannot be written", r#"
git init -q new
git -C new config core.fsmonitor 'touch @RUN@/mark; false'
chmod 555 new/.git
"#, MARK).only(Who::NormalUser).host_then("cd new; git status"),
    bash(Git, "makes settings of the person's own where the workspace is a home", r#"
mkdir -p .config/git
printf '[core]\n\tfsmonitor = touch @RUN@/mark; false\n' >.config/git/config
"#, MARK).at("@HOME@").or_refused().before("rm -rf @HOME@/.config").host_then("cd work/project; git status"),
    bash(Git, "makes what a shell runs where the workspace is a home", "echo x >.bash_login", Changed("@HOME@/.bash_login")).at("@HOME@").or_refused(),
    bash(Git, "changes a program that a hook is a link to", "echo 'touch @RUN@/mark' >>scripts/check", MARK)
        .before(r#"
cd @WS@
mkdir scripts
printf '#!/bin/sh\n' >scripts/check
chmod 755 scripts/check
ln -sf ../../scripts/check .git/hooks/pre-commit
"#).host_then(WORK),
    bash(Git, "changes a hook of the repository above it", "echo 'touch @RUN@/mark' >>.husky/pre-commit", MARK)
        .at("@WS@/front").before(r#"
cd @WS@
mkdir -p front/.husky
printf '#!/bin/sh\n' >front/.husky/pre-commit
chmod 755 front/.husky/pre-commit
git config core.hooksPath front/.husky
"#).host_then("git commit --allow-empty -m x"),
    bash(Git, "changes a program of the repository above it", "echo 'touch @RUN@/mark' >>tools/watch", MARK)
        .at("@WS@/front").before(r#"
cd @WS@
mkdir -p front/tools
printf '#!/bin/sh\nfalse\n' >front/tools/watch
chmod 755 front/tools/watch
git config core.fsmonitor front/tools/watch
"#).host_then("git status"),
    bash(Git, "changes a program that a pipe of the settings ends in", "echo 'touch @RUN@/mark; cat' >tools/clean", MARK)
        .before(r#"
cd @WS@
mkdir -p tools
echo cat >tools/clean
git config filter.nb.clean 'cat %f|sh tools/clean'
echo '*.nb filter=nb' >.git/info/attributes
echo '{}' >a.nb
"#).host_then("git add a.nb"),
    bash(Git, "changes settings that the person's own include", "printf '[core]\n\tfsmonitor = touch @RUN@/mark; false\n' >own.inc", MARK)
        .before("cd @WS@; touch own.inc; printf '[includeIf \"gitdir:@WS@/\"]\n\tpath = @WS@/own.inc\n' >>@HOME@/.gitconfig").host_then("git status"),
    bash(Git, "changes settings of the person's own that are a link to the workspace", "printf '[core]\n\tfsmonitor = touch @RUN@/mark; false\n' >own.inc", MARK)
        .before("cd @WS@; mv @HOME@/.gitconfig own.inc; ln -s @WS@/own.inc @HOME@/.gitconfig").host_then("git status"),
    bash(Git, "makes hooks where the person's own settings have them", hook!(".githooks"), MARK)
        .before("git config -f @HOME@/.gitconfig core.hooksPath .githooks").host_then(WORK),
];
