//! The proxy through which stores are reached over https, as `HTTPS_PROXY` and `NO_PROXY` name it. The environment is read once, at
//! the door; a store over plain http is reached without.

use std::fmt;
use std::sync::OnceLock;

use aws_smithy_http_client::proxy::ProxyConfig;

/// What this process was told.
static PROXY: OnceLock<Result<Option<Proxy>, String>> = OnceLock::new();

/// A proxy. Printing it shows no user and no password.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    url: String,
    no_proxy: String,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({})", self.shown())
    }
}

impl Proxy {
    /// Reads `HTTPS_PROXY` and `NO_PROXY`; where they are not set, `https_proxy` and `no_proxy`.
    ///
    /// # Errors
    /// What is wrong with them, without their value.
    pub fn read(env: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        let either = |names: [&'static str; 2]| {
            let set = names
                .into_iter()
                .filter_map(|name| Some((name, env(name)?)));
            set.map(|(name, value)| (name, value.trim().to_owned()))
                .find(|(_, value)| !value.is_empty())
        };
        let Some((name, value)) = either(["HTTPS_PROXY", "https_proxy"]) else {
            return Ok(None);
        };
        // As curl takes it.
        let url = match value.contains("://") {
            true => value,
            false => format!("http://{value}"),
        };
        let bad = || format!("{name} cannot be used: write http://HOST:PORT");
        let url = url.trim_end_matches('/').to_owned();
        let (scheme, host) = url.split_once("://").ok_or_else(bad)?;
        let scheme = ["http", "https"].contains(&scheme);
        if !scheme
            || host.contains(['/', '?', '#', ' '])
            || ProxyConfig::https(url.as_str()).is_err()
        {
            return Err(bad());
        }
        let no_proxy = either(["NO_PROXY", "no_proxy"]).map(|(_, value)| value);
        Ok(Some(Self {
            url,
            no_proxy: no_proxy.unwrap_or_default(),
        }))
    }

    /// For messages: without user and password.
    pub(super) fn shown(&self) -> String {
        let (scheme, host) = self.url.split_once("://").unwrap_or_default();
        let host = host.rsplit('@').next().unwrap_or_default();
        format!("{scheme}://{host}")
    }

    /// Whether it is told a user and a password.
    pub(super) fn has_login(&self) -> bool {
        self.url.contains('@')
    }

    pub(super) fn config(&self) -> Result<ProxyConfig, String> {
        let config = ProxyConfig::https(self.url.as_str());
        let config = config.map_err(|_| "HTTPS_PROXY cannot be used".to_owned())?;
        Ok(match self.no_proxy.is_empty() {
            true => config,
            false => config.no_proxy(&self.no_proxy),
        })
    }
}

/// Tells all stores of this process. A second call does nothing.
pub fn install(env: &dyn Fn(&str) -> Option<String>) {
    let _ = PROXY.set(Proxy::read(env));
}

/// The proxy of this process.
///
/// # Errors
/// As [`Proxy::read`].
pub(super) fn installed() -> Result<Option<Proxy>, String> {
    PROXY.get().cloned().unwrap_or(Ok(None))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Option<Proxy>, String> {
        Proxy::read(&|name| {
            let mut set = pairs.iter().filter(|(key, _)| *key == name);
            set.next().map(|(_, value)| (*value).to_owned())
        })
    }

    #[rstest]
    #[case("http://proxy.example:3128", "http://proxy.example:3128")]
    #[case("proxy.example:3128/", "http://proxy.example:3128")]
    #[case("https://u:geheim@proxy.example", "https://proxy.example")]
    fn a_proxy_is_read_as_others_read_it_and_shows_no_password(
        #[case] given: &str,
        #[case] shown: &str,
    ) {
        let proxy = read(&[("HTTPS_PROXY", given)]).unwrap().unwrap();
        assert_eq!(proxy.shown(), shown);
        assert_eq!(format!("{proxy:?}"), format!("Proxy({shown})"));
        proxy.config().unwrap();
    }

    #[test]
    fn the_upper_case_name_comes_first_and_none_is_none() {
        let both = [
            ("https_proxy", "b:1"),
            ("HTTPS_PROXY", "a:1"),
            ("no_proxy", "x"),
        ];
        let proxy = read(&both).unwrap().unwrap();
        assert_eq!(
            (proxy.url.as_str(), proxy.no_proxy.as_str()),
            ("http://a:1", "x")
        );
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[("HTTPS_PROXY", " ")]), Ok(None));
    }

    #[rstest]
    #[case("socks5://geheim:1")]
    #[case("http://")]
    #[case("http://host/geheim")]
    #[case("http://a b")]
    fn what_is_no_proxy_is_refused_by_name_and_not_repeated(#[case] given: &str) {
        let error = read(&[("HTTPS_PROXY", given)]).unwrap_err();
        assert!(
            error.contains("HTTPS_PROXY") && !error.contains("geheim"),
            "{error}"
        );
    }
}
