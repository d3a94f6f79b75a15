//! A page of a listing, held against itself: what was not understood is an error, never a short list (P13).

use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::types::EncodingType;

use super::s3_answer::Whole;
use super::s3_tries::{Again, Failed};
use super::{Depth, Listed, Operation, PAGE_ENTRIES, Page, S3, StoreError};
use crate::api::Reason;

/// Most pages of one listing: ten million keys.
const MAX_PAGES: u32 = 10_000;
/// Most pages in a row with one entry or none: a store may skip what was deleted.
const MAX_THIN: u32 = 100;

/// Where a listing stands, as [`Page::next`] carries it: so every loop over pages is bounded from our side,
/// whatever tokens the store gives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Cursor {
    pages: u32,
    thin: u32,
    /// The last entry so far, as the bucket knows it.
    last: String,
    /// The store's own.
    token: String,
}

impl Cursor {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(4, ' ');
        let mut number = || parts.next()?.parse::<u32>().ok();
        let (pages, thin, length) = (number()?, number()?, number()?);
        let (last, token) = parts
            .next()?
            .split_at_checked(usize::try_from(length).ok()?)?;
        Some(Self {
            pages,
            thin,
            last: last.to_owned(),
            token: token.to_owned(),
        })
    }

    fn text(&self) -> String {
        let Self {
            pages,
            thin,
            last,
            token,
        } = self;
        format!("{pages} {thin} {} {last}{token}", last.len())
    }

    /// After this page; `None` if it was the last.
    fn after(&self, answer: &ListObjectsV2Output, found: &Entries) -> Result<Option<Self>, String> {
        let token = answer
            .next_continuation_token()
            .filter(|token| !token.is_empty());
        let token = match (answer.is_truncated(), token) {
            (Some(true), None) => {
                return Err("there is more, says the store, but not where to go on".to_owned());
            }
            (None, None) if found.count() >= PAGE_ENTRIES => {
                return Err("the store does not say whether there is more".to_owned());
            }
            (_, None) => return Ok(None),
            (_, Some(token)) => token,
        };
        let last = found.last();
        let stands = match last {
            _ if token == self.token => true,
            Some(last) => self.pages > 0 && last <= self.last.as_str(),
            None => false,
        };
        let thin = if found.count() > 1 { 0 } else { self.thin + 1 };
        if stands || thin > MAX_THIN {
            return Err("the store gives the same again and again".to_owned());
        }
        if self.pages >= MAX_PAGES {
            return Err(format!("it has more than {MAX_PAGES} pages"));
        }
        Ok(Some(Self {
            pages: self.pages + 1,
            thin,
            last: last.unwrap_or(&self.last).to_owned(),
            token: token.to_owned(),
        }))
    }
}

/// What a page holds, with the keys of the bucket.
#[derive(Debug, Default, PartialEq, Eq)]
struct Entries {
    objects: Vec<(String, u64)>,
    folders: Vec<String>,
}

impl Entries {
    /// Reads the answer to a listing of `prefix`.
    fn read(answer: &ListObjectsV2Output, prefix: &str, depth: Depth) -> Result<Self, String> {
        let none = || "an entry has no key".to_owned();
        let mut objects = Vec::new();
        for object in answer.contents() {
            let key = object.key().ok_or_else(none)?;
            let bytes = object.size().and_then(|bytes| u64::try_from(bytes).ok());
            let bytes = bytes.ok_or_else(|| format!("{key} has no size"))?;
            objects.push((key.to_owned(), bytes));
        }
        let mut folders = Vec::new();
        for folder in answer.common_prefixes() {
            folders.push(folder.prefix().ok_or_else(none)?.to_owned());
        }
        let mut found = Self { objects, folders };
        found.check_count(answer.key_count())?;
        if answer.encoding_type() == Some(&EncodingType::Url) {
            found.decode()?;
        }
        found.check_place(prefix, depth)?;
        Ok(found)
    }

    fn count(&self) -> usize {
        self.objects.len() + self.folders.len()
    }

    fn last(&self) -> Option<&str> {
        let keys = self.objects.iter().map(|(key, _)| key.as_str());
        keys.chain(self.folders.iter().map(String::as_str)).max()
    }

    /// Some stores count the objects alone.
    fn check_count(&self, said: Option<i32>) -> Result<(), String> {
        let Some(said) = said else { return Ok(()) };
        let read = self.count();
        let fits = |n| usize::try_from(said).is_ok_and(|said| said == n);
        if fits(read) || fits(self.objects.len()) {
            return Ok(());
        }
        Err(format!("KeyCount is {said}, but {read} entries are there"))
    }

    /// Undoes `encoding-type=url`. A store may say that it encoded and not have done so: then there are
    /// letters that no encoding leaves.
    fn decode(&mut self) -> Result<(), String> {
        let odd = |c: char| !c.is_ascii_graphic() || "\"<>\\^`{|}#?[]".contains(c);
        let folders = self.folders.iter();
        let mut all = self.objects.iter().map(|(key, _)| key).chain(folders);
        if all.any(|text| text.contains(odd)) {
            return Ok(());
        }
        for (key, _) in &mut self.objects {
            *key = decoded(key)?;
        }
        for folder in &mut self.folders {
            *folder = decoded(folder)?;
        }
        Ok(())
    }

    /// Entries lie where was asked for, and no deeper.
    fn check_place(&self, prefix: &str, depth: Depth) -> Result<(), String> {
        let strange = |entry: &str| format!("{entry} was not asked for");
        for (key, _) in &self.objects {
            let rest = key.strip_prefix(prefix).ok_or_else(|| strange(key))?;
            if depth == Depth::Folder && rest.contains('/') {
                return Err(strange(key));
            }
        }
        for folder in &self.folders {
            let rest = folder
                .strip_prefix(prefix)
                .and_then(|r| r.strip_suffix('/'));
            if depth == Depth::All || rest.is_none_or(|name| name.contains('/')) {
                return Err(strange(folder));
            }
        }
        Ok(())
    }
}

/// Undoes `%2F`, and `+` for a space, as S3 encodes keys.
fn decoded(text: &str) -> Result<String, String> {
    let bad = || format!("{text} is no encoded key");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |b: Option<u8>| char::from(b?).to_digit(16);
                let pair = digit(rest.next()).zip(digit(rest.next()));
                let value = pair.and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
                value.ok_or_else(bad)?
            }
            other => other,
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).map_err(|_| bad())
}

impl S3 {
    /// One page of what is under `prefix`.
    pub(super) async fn page(
        &self,
        prefix: &str,
        depth: Depth,
        after: Option<&str>,
    ) -> Result<Page, StoreError> {
        let place = self.place_text();
        let context = self.context(Operation::List, &place, prefix);
        let cursor = match after {
            None => Cursor::default(),
            Some(text) => Cursor::parse(text)
                .ok_or_else(|| context.error(Reason::InternalError, "there is no such page"))?,
        };
        let full = self.full(prefix);
        let request = || async {
            let whole = Whole::new("ListBucketResult");
            let request = self
                .client
                .list_objects_v2()
                .bucket(&self.bucket)
                .prefix(&full)
                .max_keys(i32::try_from(PAGE_ENTRIES).unwrap_or(i32::MAX))
                // Keys may hold what XML cannot carry.
                .encoding_type(EncodingType::Url)
                .set_continuation_token(after.map(|_| cursor.token.clone()));
            let request = match depth {
                Depth::All => request,
                Depth::Folder => request.delimiter("/"),
            };
            let call = request.customize().interceptor(whole.clone()).send();
            let answer = self.sent(&context, call).await?;
            let found = match whole.fault() {
                Some(fault) => Err(fault),
                None => Entries::read(&answer, &full, depth),
            };
            let read = found.and_then(|found| Ok((cursor.after(&answer, &found)?, found)));
            read.map_err(|what| Failed::new(context.not_understood(&what), Again::Brief))
        };
        let (next, found) = self.call(&context, request).await?;
        let listed = |(key, bytes): (String, u64)| Listed {
            key: self.relative(&key),
            bytes,
        };
        Ok(Page {
            objects: found.objects.into_iter().map(listed).collect(),
            folders: found.folders.iter().map(|f| self.relative(f)).collect(),
            next: next.map(|cursor| cursor.text()),
        })
    }
}

#[cfg(test)]
#[path = "s3_list_tests.rs"]
mod tests;
