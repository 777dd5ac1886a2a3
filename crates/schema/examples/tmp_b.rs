#![allow(missing_docs, clippy::unwrap_used)]
fn main(){ let t = std::env::args().nth(1).unwrap(); let v: serde_json::Value = serde_json::from_str(&t).unwrap();
 let l = codetether_schema::lower(&v, codetether_schema::Dialect::from_name(&t).unwrap());
 let va = codetether_schema::Validator::new(&v).unwrap();
 let a = codetether_schema::read_answer(&t, &va, Some(&l)).unwrap();
 let mut p = codetether_schema::Partial::new(); p.push(t.as_bytes()).unwrap(); let m = p.member(&t).is_some();
 std::process::exit(va.validate(&v).is_ok() as i32 + codetether_schema::parse_arguments(&t).is_ok() as i32 + a.was_cut as i32 + p.value().is_some() as i32 + p.finish().is_ok() as i32 + l.losses.len() as i32 + m as i32 + serde_json::to_string(&l).unwrap().len() as i32) }
