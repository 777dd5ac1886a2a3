//! What a key is: the macro that defines a table of keys once, and what follows from that definition: the type, how
//! it is read, how layers are laid over each other, what a project may do, and what the reference says. Knows no
//! key by name.

use std::collections::BTreeMap;

use codetether_event::{Effort, Mode, Temperature};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::read::Reader;
use crate::{Dollars, Model, Models, Names, Seconds, Size};

/// One key of a table of settings.
#[derive(Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What it means, a line each.
    pub doc: &'static [&'static str],
    /// What holds where it is not set, for keys without a default value.
    pub unset: Option<&'static str>,
    /// The environment variable that sets it.
    pub variable: Option<&'static str>,
    /// What a project's own file may do with it.
    pub project: ProjectMay,
    /// Whether it can be set in the user's own file only.
    pub user_only: bool,
    /// What it holds.
    pub shape: Shape,
}

/// What a project's own file may do with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProjectMay {
    /// Narrow what the user's own settings say; it needs no trust for that.
    Narrow,
    /// Set it, once the user trusted the folder.
    SetWhenTrusted,
    /// Nothing.
    Nothing,
    /// What it may do with the table that the key is in.
    AsTheTable,
}

/// What a key holds.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// A value; says of which kind.
    Value(&'static str),
    /// A list of permission rules; those of all layers add up.
    Rules,
    /// A table of texts by name.
    Texts,
    /// A table of these keys.
    Table(&'static [Key]),
    /// Tables of these keys by name.
    Tables(&'static [Key]),
    /// Lists of tables of these keys by name; those of all layers add up.
    Lists(&'static [Key]),
}

/// A table whose keys are known; [`keys!`] implements it.
pub(crate) trait Table: Default {
    /// The keys, in order.
    const KEYS: &'static [Key];
    /// With every default in it.
    fn defaults() -> Self;
    /// Takes from a TOML table what is right, and reports what is wrong.
    fn read(&mut self, table: DeTable<'_>, reader: &mut Reader<'_>);
    /// Lays `top` over this: what it sets wins; rules add up; tables by name merge.
    fn lay_over(&mut self, top: Self);
    /// Takes over what a project's file may set, and says of every key that it sets what became of it.
    fn take_from_project(&mut self, top: Self, trusted: bool) -> Vec<(&'static str, Taken)>;
    /// The keys that are set and have power: they need trust in a project's file.
    fn powers(&self) -> Vec<&'static str>;
    /// Whether any key is set.
    fn any_set(&self) -> bool;
}

/// What became of a key of a project's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It holds.
    Yes,
    /// What holds is as narrow already.
    NoNeed,
    /// It would widen what the user's own settings say.
    Wider,
    /// It needs trust that is not there.
    Untrusted,
}

/// A field of a table of settings.
pub(crate) trait Field: Default {
    const SHAPE: Shape;
    /// Takes what is right, and reports what is wrong.
    fn read(&mut self, value: Spanned<DeValue<'_>>, reader: &mut Reader<'_>);
    fn lay_over(&mut self, top: Self);
    /// Narrows by what a project says.
    fn narrow(&mut self, theirs: Self) -> Taken;
    fn is_set(&self) -> bool;
}

/// For serde: whether to leave a field out.
pub(crate) fn is_unset<F: Field>(field: &F) -> bool {
    !field.is_set()
}

/// A single value of a setting.
pub(crate) trait Value: DeserializeOwned + Serialize + JsonSchema + PartialEq {
    /// Of which kind it is, for people.
    const WANTED: &'static str;
    /// What to write, where the value is wrong though of the right kind.
    const HELP: Option<&'static str> = None;

    /// The narrower of the two, and what became of theirs. Values that know no narrower stay as they are.
    fn narrower(ours: Self, _theirs: Self) -> (Self, Taken) {
        (ours, Taken::Wider)
    }
}

fn smaller<T: Ord>(ours: T, theirs: T) -> (T, Taken) {
    if theirs < ours { (theirs, Taken::Yes) } else { (ours, Taken::NoNeed) }
}

impl Value for u32 {
    const WANTED: &'static str = "a whole number from 0 to 4294967295";

    fn narrower(ours: Self, theirs: Self) -> (Self, Taken) {
        smaller(ours, theirs)
    }
}

impl Value for Seconds {
    const WANTED: &'static str = "a duration such as `90`, `\"90s\"`, `\"10m\"` or `\"1h30m\"`";

    fn narrower(ours: Self, theirs: Self) -> (Self, Taken) {
        smaller(ours, theirs)
    }
}

impl Value for Size {
    const WANTED: &'static str = "a size such as `\"512M\"` or `\"4G\"`, or `\"none\"`";

    fn narrower(ours: Self, theirs: Self) -> (Self, Taken) {
        let smaller = ours.smaller(theirs);
        (smaller, if smaller == ours { Taken::NoNeed } else { Taken::Yes })
    }
}

impl Value for Mode {
    const WANTED: &'static str = "text";

    fn narrower(ours: Self, theirs: Self) -> (Self, Taken) {
        match theirs > ours {
            true => (ours, Taken::Wider),
            false => smaller(ours, theirs),
        }
    }
}

impl Value for Names {
    const WANTED: &'static str = "a list of names";

    fn narrower(ours: Self, theirs: Self) -> (Self, Taken) {
        let both = Self(ours.0.iter().filter(|name| theirs.0.contains(name)).cloned().collect());
        let taken = if both == ours { Taken::NoNeed } else { Taken::Yes };
        (both, taken)
    }
}

impl Value for Model {
    const WANTED: &'static str = "text";
    const HELP: Option<&'static str> = Some("write it as `provider/model`, such as `openai/gpt-5`");
}

impl Value for Models {
    const WANTED: &'static str = "a list of models";
    const HELP: Option<&'static str> = Some("write each as `provider/model`, such as `openai/gpt-5`");
}

impl Value for Effort {
    const WANTED: &'static str = "text";
}

impl Value for Temperature {
    const WANTED: &'static str = "a number";
}

impl Value for String {
    const WANTED: &'static str = "text";
}

impl Value for bool {
    const WANTED: &'static str = "`true` or `false`";
}

impl Value for Dollars {
    const WANTED: &'static str = "a number of dollars";
    const HELP: Option<&'static str> = Some("write dollars, such as `0.25`");
}

impl<T: Value> Field for Option<T> {
    const SHAPE: Shape = Shape::Value(T::WANTED);

    fn read(&mut self, value: Spanned<DeValue<'_>>, reader: &mut Reader<'_>) {
        *self = reader.value(value);
    }

    fn lay_over(&mut self, top: Self) {
        if top.is_some() {
            *self = top;
        }
    }

    fn narrow(&mut self, theirs: Self) -> Taken {
        let (narrower, taken) = match (self.take(), theirs) {
            (Some(ours), Some(theirs)) => {
                let (narrower, taken) = T::narrower(ours, theirs);
                (Some(narrower), taken)
            }
            (None, Some(theirs)) => (Some(theirs), Taken::Yes),
            (ours, None) => (ours, Taken::NoNeed),
        };
        *self = narrower;
        taken
    }

    fn is_set(&self) -> bool {
        self.is_some()
    }
}

/// Permission rules.
impl Field for Vec<String> {
    const SHAPE: Shape = Shape::Rules;

    fn read(&mut self, value: Spanned<DeValue<'_>>, reader: &mut Reader<'_>) {
        reader.rules(value, self);
    }

    fn lay_over(&mut self, top: Self) {
        self.extend(top);
    }

    fn narrow(&mut self, theirs: Self) -> Taken {
        self.extend(theirs);
        Taken::Yes
    }

    fn is_set(&self) -> bool {
        !self.is_empty()
    }
}

/// Texts by name.
impl Field for BTreeMap<String, String> {
    const SHAPE: Shape = Shape::Texts;

    fn read(&mut self, value: Spanned<DeValue<'_>>, reader: &mut Reader<'_>) {
        let Some(table) = reader.table(value) else { return };
        for (name, value) in table {
            if let Some(text) = reader.inside(name.get_ref(), |reader| reader.value(value)) {
                self.insert(name.into_inner().into_owned(), text);
            }
        }
    }

    fn lay_over(&mut self, top: Self) {
        self.extend(top);
    }

    fn narrow(&mut self, _theirs: Self) -> Taken {
        Taken::Wider
    }

    fn is_set(&self) -> bool {
        !self.is_empty()
    }
}

/// Tables by name.
impl<T: Table> Field for BTreeMap<String, T> {
    const SHAPE: Shape = Shape::Tables(T::KEYS);

    fn read(&mut self, value: Spanned<DeValue<'_>>, reader: &mut Reader<'_>) {
        let Some(tables) = reader.table(value) else { return };
        for (name, value) in tables {
            let span = name.span();
            let mut one = T::default();
            reader.inside(name.get_ref(), |reader| {
                reader.place(span);
                if let Some(table) = reader.table(value) {
                    one.read(table, reader);
                }
            });
            self.insert(name.into_inner().into_owned(), one);
        }
    }

    fn lay_over(&mut self, top: Self) {
        for (name, table) in top {
            self.entry(name).or_default().lay_over(table);
        }
    }

    fn narrow(&mut self, _theirs: Self) -> Taken {
        Taken::Wider
    }

    fn is_set(&self) -> bool {
        !self.is_empty()
    }
}

/// Makes a [`Field`] of a table of keys.
macro_rules! table_field {
    ($type:ty) => {
        impl $crate::keys::Field for $type {
            const SHAPE: $crate::keys::Shape =
                $crate::keys::Shape::Table(<$type as $crate::keys::Table>::KEYS);

            fn read(
                &mut self,
                value: toml::Spanned<toml::de::DeValue<'_>>,
                reader: &mut $crate::read::Reader<'_>,
            ) {
                if let Some(table) = reader.table(value) {
                    $crate::keys::Table::read(self, table, reader);
                }
            }

            fn lay_over(&mut self, top: Self) {
                $crate::keys::Table::lay_over(self, top);
            }

            fn narrow(&mut self, _theirs: Self) -> $crate::keys::Taken {
                $crate::keys::Taken::Wider
            }

            fn is_set(&self) -> bool {
                $crate::keys::Table::any_set(self)
            }
        }
    };
}

/// Defines a table of keys: each with what it means, its default, the variable that sets it, and what a project may
/// do with it. Everything that deals with keys follows from here.
macro_rules! keys {
    (@or [$($otherwise:tt)*]) => { $($otherwise)* };
    (@or [$($otherwise:tt)*] $given:expr) => { $given };
    (
        $(#[doc = $about:literal])+
        pub struct $name:ident {
            $(
                $(#[doc = $doc:literal])+
                #[key(
                    default = $default:expr
                    $(, unset = $unset:literal)?
                    $(, variable = $variable:literal)?
                    $(, project = $project:ident)?
                    $(, user_only = $user_only:literal)?
                )]
                pub $field:ident: $type:ty,
            )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $(
                $(#[doc = $doc])+
                #[serde(skip_serializing_if = "crate::keys::is_unset")]
                pub $field: $type,
            )+
        }

        impl $crate::keys::Table for $name {
            const KEYS: &'static [$crate::keys::Key] = &[
                $(
                    $crate::keys::Key {
                        name: stringify!($field),
                        doc: &[$($doc),+],
                        unset: $crate::keys::keys!(@or [None] $(Some($unset))?),
                        variable: $crate::keys::keys!(@or [None] $(Some($variable))?),
                        project: $crate::keys::keys!(
                            @or [$crate::keys::ProjectMay::AsTheTable] $($crate::keys::ProjectMay::$project)?
                        ),
                        user_only: $crate::keys::keys!(@or [false] $($user_only)?),
                        shape: <$type as $crate::keys::Field>::SHAPE,
                    },
                )+
            ];

            fn defaults() -> Self {
                Self { $($field: $default,)+ }
            }

            fn read(&mut self, table: toml::de::DeTable<'_>, reader: &mut $crate::read::Reader<'_>) {
                for (key, value) in table {
                    match key.get_ref().as_ref() {
                        $(
                            stringify!($field) => {
                                if reader.may_set(&key, Self::KEYS) {
                                    reader.inside(stringify!($field), |reader| {
                                        $crate::keys::Field::read(&mut self.$field, value, reader);
                                    });
                                }
                            }
                        )+
                        _ => reader.unknown(&key, Self::KEYS),
                    }
                }
            }

            fn lay_over(&mut self, top: Self) {
                $($crate::keys::Field::lay_over(&mut self.$field, top.$field);)+
            }

            fn take_from_project(
                &mut self,
                top: Self,
                trusted: bool,
            ) -> Vec<(&'static str, $crate::keys::Taken)> {
                use $crate::keys::{Field, ProjectMay, Taken};
                let mut taken = Vec::new();
                let mut keys = Self::KEYS.iter();
                $(
                    let may = keys.next().map_or(ProjectMay::Nothing, |key| key.project);
                    if Field::is_set(&top.$field) {
                        let outcome = match may {
                            ProjectMay::Narrow => Field::narrow(&mut self.$field, top.$field),
                            ProjectMay::SetWhenTrusted if trusted => {
                                Field::lay_over(&mut self.$field, top.$field);
                                Taken::Yes
                            }
                            ProjectMay::SetWhenTrusted => Taken::Untrusted,
                            ProjectMay::Nothing | ProjectMay::AsTheTable => Taken::Wider,
                        };
                        taken.push((stringify!($field), outcome));
                    }
                )+
                taken
            }

            fn powers(&self) -> Vec<&'static str> {
                let set = [$((stringify!($field), $crate::keys::Field::is_set(&self.$field)),)+];
                let needs_trust = |name| {
                    Self::KEYS.iter().any(|key| {
                        key.name == name && key.project == $crate::keys::ProjectMay::SetWhenTrusted
                    })
                };
                set.into_iter().filter(|(name, set)| *set && needs_trust(*name)).map(|(name, _)| name).collect()
            }

            fn any_set(&self) -> bool {
                false $(|| $crate::keys::Field::is_set(&self.$field))+
            }
        }
    };
}

pub(crate) use {keys, table_field};
