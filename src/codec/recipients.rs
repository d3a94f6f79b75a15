//! For whom a backup is encrypted, and who can read it: age's native X25519 keys.

use std::fmt;
use std::str::FromStr;

use age::x25519;

use super::CodecError;

/// Public keys, at least one.
#[derive(Clone)]
pub struct Recipients(Vec<x25519::Recipient>);

impl fmt::Debug for Recipients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.to_strings()).finish()
    }
}

impl Recipients {
    /// Reads `age1…` keys.
    ///
    /// # Errors
    /// [`CodecError::Recipient`] naming the first bad one by its place, never by its text: somebody may
    /// have pasted a private key there.
    pub fn parse(keys: &[String]) -> Result<Self, CodecError> {
        if keys.is_empty() {
            return Err(CodecError::NoRecipients);
        }
        let mut parsed = Vec::with_capacity(keys.len());
        for (index, key) in keys.iter().enumerate() {
            let bad = |what: &str| CodecError::Recipient {
                index,
                what: what.to_owned(),
            };
            let key = key.trim();
            if key.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") {
                return Err(bad(
                    "is a private key, which must never stand here: replace that key pair",
                ));
            }
            let recipient =
                x25519::Recipient::from_str(key).map_err(|_| bad("is not an age public key"))?;
            parsed.push(recipient);
        }
        Ok(Self(parsed))
    }

    /// As they stand in the manifest.
    #[must_use]
    pub fn to_strings(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }

    pub(super) fn encryptor(&self) -> Result<age::Encryptor, CodecError> {
        age::Encryptor::with_recipients(self.0.iter().map(|r| -> &dyn age::Recipient { r }))
            .map_err(|error| CodecError::Step {
                step: "encrypt",
                name: "an object".to_owned(),
                source: std::io::Error::other(error.to_string()),
            })
    }
}

/// Private keys, at least one. Only readers have them (P7).
pub struct Identities(Vec<x25519::Identity>);

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identities({})", self.0.len())
    }
}

impl Identities {
    /// Reads what `age-keygen` wrote: one key a line, `#` begins a comment.
    ///
    /// # Errors
    /// [`CodecError::Identity`] naming the line, never its text.
    pub fn parse(text: &str) -> Result<Self, CodecError> {
        let mut parsed = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let identity = x25519::Identity::from_str(line).map_err(|_| CodecError::Identity {
                line: index + 1,
                what: "is not an age identity (AGE-SECRET-KEY-1…)",
            })?;
            parsed.push(identity);
        }
        if parsed.is_empty() {
            return Err(CodecError::Identity {
                line: 0,
                what: "does not exist: the file holds no identity (AGE-SECRET-KEY-1…)",
            });
        }
        Ok(Self(parsed))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &dyn age::Identity> {
        self.0.iter().map(|i| -> &dyn age::Identity { i })
    }
}

#[cfg(test)]
mod tests {
    use age::secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_bad_recipient_is_named_by_its_place() {
        let good = x25519::Identity::generate().to_public().to_string();
        let error = Recipients::parse(&[good.clone(), "age1nonsense".to_owned()]).unwrap_err();
        assert!(error.to_string().contains("recipient 2"), "{error}");
        assert!(matches!(
            Recipients::parse(&[]),
            Err(CodecError::NoRecipients)
        ));
        assert_eq!(
            Recipients::parse(std::slice::from_ref(&good))
                .unwrap()
                .to_strings(),
            [good]
        );
    }

    #[test]
    fn a_private_key_among_the_recipients_is_refused_and_not_repeated() {
        let identity = x25519::Identity::generate();
        let secret = identity.to_string().expose_secret().to_owned();
        let error = Recipients::parse(std::slice::from_ref(&secret))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("private key") && !error.contains(&secret),
            "{error}"
        );
    }

    #[test]
    fn an_identity_file_is_read_with_its_comments() {
        let identity = x25519::Identity::generate();
        let text = format!(
            "# created: today\n\n{}\n",
            identity.to_string().expose_secret()
        );
        assert_eq!(Identities::parse(&text).unwrap().iter().count(), 1);
        assert!(Identities::parse("# nothing\n").is_err());
        let error = Identities::parse("secret stuff\n").unwrap_err().to_string();
        assert!(
            error.contains("line 1") && !error.contains("stuff"),
            "{error}"
        );
    }
}
