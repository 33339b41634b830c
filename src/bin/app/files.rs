//! The files that the reader gave. A link holds their names alone, so their bytes stay for as long as the page does: a
//! lab that was left and is opened again finds its own.

use std::rc::Rc;

use leptos::prelude::*;

/// Where they are. Copied freely.
#[derive(Clone, Copy)]
pub struct GivenFiles(StoredValue<Vec<Given>, LocalStorage>);

struct Given {
    lab: &'static str,
    key: &'static str,
    name: String,
    bytes: Rc<[u8]>,
}

impl GivenFiles {
    pub fn new() -> Self {
        Self(StoredValue::new_local(Vec::new()))
    }

    /// Keeps the bytes of a file for this parameter of a lab; another of the same name goes.
    pub fn keep(self, lab: &'static str, key: &'static str, name: &str, bytes: Vec<u8>) {
        self.0.update_value(|files| {
            files.retain(|file| (file.lab, file.key, file.name.as_str()) != (lab, key, name));
            files.push(Given { lab, key, name: name.to_owned(), bytes: bytes.into() });
        });
    }

    /// The bytes of the file of this name, if it was given here.
    pub fn find(self, lab: &str, key: &str, name: &str) -> Option<Rc<[u8]>> {
        self.0.with_value(|files| {
            let found = files.iter().find(|file| (file.lab, file.key, file.name.as_str()) == (lab, key, name));
            found.map(|file| file.bytes.clone())
        })
    }
}
