//! How commands name a store.

use std::convert::Infallible;
use std::str::FromStr;
use std::sync::Arc;

use super::CommandError;
use crate::objects::{Location, ObjectStore};
use crate::postgres::shell_word;

/// A location as it was given. It is read when it is opened: what clap cannot read it repeats, and a credential may stand in it.
#[derive(Debug, Clone)]
pub struct StoreArg(String);

impl FromStr for StoreArg {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl StoreArg {
    /// Opens what is there.
    ///
    /// # Errors
    /// That it is no location, never repeating it; those of the store.
    pub(super) async fn open(&self) -> Result<Arc<dyn ObjectStore>, CommandError> {
        Ok(Location::parse(&self.0)?.open_existing().await?)
    }

    /// As it can be pasted into a shell again: a location that was opened holds no credential.
    pub(super) fn pasted(&self) -> String {
        shell_word(&self.0)
    }
}
