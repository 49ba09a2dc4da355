//! Reads a TOML table key by key and remembers every fault, so that a person corrects the file once.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use toml::{Table, Value};

/// One table of the file. What is not asked for until [`Reader::finish`] is an unknown key.
pub struct Reader<'a> {
    prefix: String,
    left: BTreeMap<String, Value>,
    faults: &'a mut Vec<String>,
}

impl<'a> Reader<'a> {
    pub fn new(prefix: &str, table: Table, faults: &'a mut Vec<String>) -> Self {
        Self {
            prefix: prefix.into(),
            left: table.into_iter().collect(),
            faults,
        }
    }

    /// Reads a sub-table with `read`; a missing one is empty.
    pub fn table(&mut self, key: &str, read: impl FnOnce(&mut Reader<'_>)) {
        let table = match self.left.remove(key) {
            None => return,
            Some(Value::Table(table)) => table,
            Some(other) => return self.wrong(key, &other, "a table"),
        };
        let prefix = format!("{}{key}.", self.prefix);
        let mut inner = Reader::new(&prefix, table, self.faults);
        read(&mut inner);
        inner.finish();
    }

    pub fn text(&mut self, key: &str, to: &mut String) {
        match self.left.remove(key) {
            None => {}
            Some(Value::String(text)) => *to = text,
            Some(other) => self.wrong(key, &other, "a text"),
        }
    }

    pub fn path(&mut self, key: &str, to: &mut Option<PathBuf>) {
        let mut text = String::new();
        self.text(key, &mut text);
        if !text.is_empty() {
            *to = Some(text.into());
        }
    }

    pub fn flag(&mut self, key: &str, to: &mut bool) {
        match self.left.remove(key) {
            None => {}
            Some(Value::Boolean(flag)) => *to = flag,
            Some(other) => self.wrong(key, &other, "true or false"),
        }
    }

    /// A number of bytes.
    pub fn bytes(&mut self, key: &str, to: &mut u64) {
        match self.left.remove(key) {
            None => {}
            Some(Value::Integer(n)) if n >= 0 => *to = n.unsigned_abs(),
            Some(other) => self.wrong(key, &other, "a number of bytes, 0 or more"),
        }
    }

    pub fn texts(&mut self, key: &str, to: &mut Vec<String>) {
        let Some(value) = self.left.remove(key) else {
            return;
        };
        let Value::Array(items) = &value else {
            return self.wrong(key, &value, "a list of texts");
        };
        let found: Vec<_> = items
            .iter()
            .filter_map(|item| item.as_str().map(String::from))
            .collect();
        if found.len() == items.len() {
            *to = found;
        } else {
            self.wrong(key, &value, "a list of texts");
        }
    }

    /// Texts that `parse` understands, each as one or more values; `what` says what was expected.
    pub fn lines<T>(
        &mut self,
        key: &str,
        to: &mut Vec<T>,
        what: &str,
        parse: impl Fn(&str) -> Option<Vec<T>>,
    ) {
        if !self.left.contains_key(key) {
            return;
        }
        let mut texts = Vec::new();
        self.texts(key, &mut texts);
        to.clear();
        for text in texts {
            match parse(&text) {
                Some(values) => to.extend(values),
                None => self
                    .faults
                    .push(format!("{}{key}: {text:?} is not {what}", self.prefix)),
            }
        }
    }

    /// Addresses with ports, such as `["127.0.0.1:42080"]`.
    pub fn addrs(&mut self, key: &str, to: &mut Vec<SocketAddr>) {
        if !self.left.contains_key(key) {
            return;
        }
        let mut texts = Vec::new();
        self.texts(key, &mut texts);
        to.clear();
        for text in texts {
            match text.parse() {
                Ok(addr) => to.push(addr),
                Err(_) => {
                    let fault = format!(
                        "{}{key}: {text:?} is no address with a port, such as 127.0.0.1:42080",
                        self.prefix
                    );
                    self.faults.push(fault);
                }
            }
        }
    }

    /// One address with a port.
    pub fn addr(&mut self, key: &str, to: &mut SocketAddr) {
        let mut found = None;
        self.parsed(
            key,
            &mut found,
            "an address with a port, such as 0.0.0.0:42069",
            |text| text.parse().ok(),
        );
        *to = found.unwrap_or(*to);
    }

    /// A text that `parse` understands; `what` says what was expected.
    pub fn parsed<T>(
        &mut self,
        key: &str,
        to: &mut Option<T>,
        what: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) {
        let mut text = String::new();
        self.text(key, &mut text);
        if text.is_empty() {
            return;
        }
        match parse(&text) {
            Some(value) => *to = Some(value),
            None => self
                .faults
                .push(format!("{}{key}: {text:?} is not {what}", self.prefix)),
        }
    }

    /// Refuses what nobody asked for.
    pub fn finish(self) {
        for key in self.left.into_keys() {
            self.faults.push(format!("{}{key}: unknown key", self.prefix));
        }
    }

    fn wrong(&mut self, key: &str, found: &Value, want: &str) {
        self.faults
            .push(format!("{}{key}: {} is not {want}", self.prefix, found));
    }
}
