//! Whether an answer of a store is whole: the SDK takes XML that stops in the middle for all there is (P13).

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_s3::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;

/// Holds the body of a success against XML's own rules. One for each request.
#[derive(Debug, Clone)]
pub(super) struct Whole {
    root: &'static str,
    fault: Arc<Mutex<Option<String>>>,
}

impl Whole {
    /// Of an answer whose outermost element has this name.
    pub(super) fn new(root: &'static str) -> Self {
        Self {
            root,
            fault: Arc::default(),
        }
    }

    /// What is wrong with the answer that was read.
    pub(super) fn fault(&self) -> Option<String> {
        let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        fault.clone()
    }
}

impl Intercept for Whole {
    fn name(&self) -> &'static str {
        "Whole"
    }

    // Only now the body was read.
    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let answer = context.response();
        if answer.status().is_success() {
            let body = answer.body().bytes().unwrap_or_default();
            let fault = whole(body, self.root).err();
            *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
        }
        Ok(())
    }
}

/// Whether this is one XML document, from its first tag to its last, whose outermost element is `root`.
pub(super) fn whole(body: &[u8], root: &str) -> Result<(), String> {
    let text = std::str::from_utf8(body).map_err(|_| "it is not text".to_owned())?;
    let cut = || format!("its XML stops before </{root}>");
    let mut open: Vec<&str> = Vec::new();
    let mut begun = false;
    let mut rest = text.trim_start_matches('\u{feff}');
    while let Some((before, tag)) = rest.split_once('<') {
        if open.is_empty() && !before.trim().is_empty() {
            return Err(format!("it holds more than <{root}>"));
        }
        // What is no element: declarations, comments, raw text.
        let aside = [("?", "?>"), ("!--", "-->"), ("![CDATA[", "]]>"), ("!", ">")];
        let end = aside.iter().find(|(begin, _)| tag.starts_with(begin));
        if let Some((_, end)) = end {
            rest = tag.split_once(end).ok_or_else(cut)?.1;
            continue;
        }
        if let Some(closing) = tag.strip_prefix('/') {
            let (name, after) = closing.split_once('>').ok_or_else(cut)?;
            if open.pop() != Some(name.trim_end()) {
                return Err("the tags of its XML do not match".to_owned());
            }
            rest = after;
            continue;
        }
        let (inner, after) = tag.split_at(end_of_tag(tag).ok_or_else(cut)?);
        let name = inner.split(|c: char| c.is_whitespace() || c == '/').next();
        let name = name.unwrap_or_default();
        if open.is_empty() {
            let local = name.rsplit(':').next().unwrap_or_default();
            if begun || local != root {
                return Err(format!("it is not <{root}>"));
            }
            begun = true;
        }
        if !inner.ends_with('/') {
            open.push(name);
        }
        rest = after.strip_prefix('>').unwrap_or(after);
    }
    match (begun, open.is_empty(), rest.trim().is_empty()) {
        (false, ..) => Err(format!("it holds no <{root}>")),
        (_, false, _) => Err(cut()),
        (_, _, false) => Err(format!("it holds more than <{root}>")),
        _ => Ok(()),
    }
}

/// Where the `>` of a tag is; one in quotes does not count.
fn end_of_tag(tag: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in tag.char_indices() {
        match (quote, c) {
            (None, '>') => return Some(at),
            (None, '"' | '\'') => quote = Some(c),
            (Some(begun), c) if begun == c => quote = None,
            _ => {}
        }
    }
    None
}

/// Code and message of an error that came as a success: completing an upload may end so.
pub(super) fn error_in(body: &[u8]) -> Option<(String, String)> {
    let code = element(body, "Code")?;
    let message = element(body, "Message").unwrap_or_default();
    Some((code.to_owned(), message.to_owned()))
}

/// What an element of an error says.
pub(super) fn element<'a>(body: &'a [u8], name: &str) -> Option<&'a str> {
    whole(body, "Error").ok()?;
    let text = std::str::from_utf8(body).ok()?;
    let (_, after) = text.split_once(&format!("<{name}>"))?;
    Some(after.split_once(&format!("</{name}>"))?.0.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "<?xml version=\"1.0\"?>\n<L xmlns='a>b'><Key>a&gt;b</Key><!-- </L> --><E/><T x=\"/\">\
        <![CDATA[</T>]]></T></L>\n";

    #[test]
    fn p13_a_document_is_whole_only_up_to_its_last_letter() {
        whole(LIST.as_bytes(), "L").unwrap();
        whole(b"<s3:L xmlns:s3='x'></s3:L>", "L").unwrap();
        for end in 0..LIST.trim_end().len() {
            let cut = LIST.get(..end).unwrap();
            assert!(whole(cut.as_bytes(), "L").is_err(), "{cut}");
        }
    }

    #[test]
    fn p13_what_is_another_document_is_not_taken_for_ours() {
        for other in [
            "",
            "OK",
            "<html><body></body></html>",
            "<L></L><L></L>",
            "<L></L>text",
            "text<L></L>",
            "<L><a></L></a>",
        ] {
            assert!(whole(other.as_bytes(), "L").is_err(), "{other}");
        }
        assert!(whole(b"<L>\xff</L>", "L").is_err());
    }

    #[test]
    fn an_error_is_read_only_from_a_whole_one() {
        let error = "<Error><Code>SlowDown</Code><Message>later</Message></Error>";
        let read = Some(("SlowDown".to_owned(), "later".to_owned()));
        assert_eq!(error_in(error.as_bytes()), read);
        assert_eq!(error_in(error.trim_end_matches('>').as_bytes()), None);
        assert_eq!(error_in(LIST.as_bytes()), None);
    }
}
