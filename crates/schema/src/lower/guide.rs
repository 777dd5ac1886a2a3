//! What a schema says of the places in a value, for those who walk through a value with it.

use serde_json::{Map, Value};

use super::document::{Document, below};
use super::shape::{Shape, Sub, Union, View, fold, same};
use super::types::Types;

/// A schema to be guided by.
pub(crate) struct Guide<'s> {
    document: Document<'s>,
    root: &'s Value,
}

/// Schemas that must all hold in a place of the value.
pub(crate) struct Place<'s>(Vec<Sub<'s>>);

/// Unions in a row of which a variant is chosen.
const DEPTH: usize = 8;
/// Schemas that are looked at for one question.
const FOLDS: usize = 256;

impl<'s> Guide<'s> {
    pub(crate) fn new(root: &'s Value) -> Self {
        Self { document: Document::new(root), root }
    }

    pub(crate) fn root(&self) -> Place<'s> {
        Place(vec![Sub::whole(self.root, "".into())])
    }

    /// Whether a value of this type, or this value where values are listed, may stand here; in a doubt it may.
    pub(crate) fn takes(&self, place: &Place<'s>, value: &Value) -> bool {
        self.takes_in(&place.0, value, &mut { FOLDS })
    }

    fn takes_in(&self, conj: &[Sub<'s>], value: &Value, left: &mut usize) -> bool {
        let Some(less) = left.checked_sub(1) else { return true };
        *left = less;
        let shape = fold(&self.document, conj);
        shape.types.contain(value)
            && shape.values.as_ref().is_none_or(|values| values.iter().any(|known| same(known, value)))
            && shape.unions.iter().all(|union| {
                let mut variants = (0..union.variants.len()).filter_map(|n| union.variant(n));
                variants.any(|variant| self.takes_in(&[variant], value, left))
            })
    }

    /// The place with the variants chosen of which the object says that they are meant.
    pub(crate) fn choose(&self, place: &Place<'s>, object: &Map<String, Value>) -> Place<'s> {
        let mut conj = place.0.clone();
        for _ in 0..DEPTH {
            let shape = fold(&self.document, &conj);
            let Some(union) = shape.unions.first() else { break };
            let variants = (0..union.variants.len()).filter_map(|n| union.variant(n));
            let meant = variants.into_iter().find(|variant| {
                let shape = fold(&self.document, std::slice::from_ref(variant));
                shape.types.meet(Types::OBJECT) && self.is_meant(&shape, object)
            });
            let mut next: Vec<Sub<'s>> = meant.into_iter().collect();
            next.extend(shape.parts.iter().cloned());
            next.extend(shape.unions.iter().skip(1).map(Union::alone));
            conj = next;
        }
        Place(conj)
    }

    /// Whether all listed values of a variant's properties are those of the object, and all that it requires is there.
    fn is_meant(&self, shape: &Shape<'s>, object: &Map<String, Value>) -> bool {
        shape.required.iter().all(|(name, _)| object.contains_key(*name))
            && object.iter().all(|(name, value)| {
                let conj = self.property_of(shape, name);
                let inner = fold(&self.document, &conj);
                inner.values.is_none_or(|values| values.iter().any(|known| same(known, value)))
            })
    }

    pub(crate) fn property(&self, place: &Place<'s>, name: &str) -> Place<'s> {
        Place(self.property_of(&fold(&self.document, &place.0), name))
    }

    fn property_of(&self, shape: &Shape<'s>, name: &str) -> Vec<Sub<'s>> {
        let of = |part: &super::shape::ObjectPart<'s>| {
            let (schema, steps) = match part.properties.and_then(|properties| properties.get(name)) {
                Some(schema) => (schema, vec!["properties", name]),
                None => (part.additional.filter(|_| part.patterns.is_none())?, vec!["additionalProperties"]),
            };
            Some(Sub { schema, at: below(&part.at, &steps), view: View::Whole })
        };
        shape.objects.iter().filter_map(of).collect()
    }

    pub(crate) fn item(&self, place: &Place<'s>, n: usize) -> Place<'s> {
        let shape = fold(&self.document, &place.0);
        Place(super::array::place(&shape, n))
    }
}
