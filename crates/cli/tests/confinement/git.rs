//! Attempts to make git outside, run later by a person, do what the workspace says: by hooks, settings, attributes, and
//! by putting another repository in the place of one that is there.

use crate::attempt::Category::Git;
use crate::attempt::Judge::Changed;
use crate::attempt::{Attempt, bash};

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
];
