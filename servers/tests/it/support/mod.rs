//! A stage and a client that sees every byte, for the tests of the network shell.

pub(crate) mod client;

use std::time::Duration;

use crosscheck_servers::{Behaviour, Exchange, Route, Site, Stage, StageConfig, Token};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longer than anything on a loaded machine takes; a test that waits so long has failed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A started stage with one site.
pub(crate) struct Fixture {
    pub(crate) stage: Stage,
    pub(crate) token: Token,
}

impl Fixture {
    /// A site with these behaviours, each at an origin and path such as `http://api.test/a`.
    pub(crate) async fn new(behaviours: &[(&str, Value)]) -> Self {
        Self::with(StageConfig::default(), behaviours).await
    }

    pub(crate) async fn with(config: StageConfig, behaviours: &[(&str, Value)]) -> Self {
        let stage = Stage::start(config).await.expect("a stage");
        let token = Token::random();
        stage.publish(token.clone(), site(behaviours));
        Self { stage, token }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.stage.addresses()[0]).await.expect("a connection")
    }

    /// Sends a text in which `/~/` stands for the token's path, and reads until the server closes.
    pub(crate) async fn talk(&self, text: &str) -> String {
        let mut stream = self.connect().await;
        self.say(&mut stream, text).await;
        rest(&mut stream).await
    }

    pub(crate) async fn say(&self, stream: &mut TcpStream, text: &str) {
        stream.write_all(text.replace("/~/", &format!("/{}/", self.token)).as_bytes()).await.expect("sent");
    }

    pub(crate) async fn wait_for(&self, enough: impl Fn(&[Exchange]) -> bool) -> Vec<Exchange> {
        let log = self.stage.wait_for(&self.token, DEADLINE, &enough).await;
        assert!(enough(&log), "the log never came to this: {log:#?}");
        log
    }
}

pub(crate) fn site(behaviours: &[(&str, Value)]) -> Site {
    let mut site = Site::new();
    for (url, behaviour) in behaviours {
        let slash = url.match_indices('/').nth(2).expect("a path").0;
        let route = Route { origin: url[..slash].parse().expect("an origin"), path: url[slash..].to_owned() };
        site.insert(route, serde_json::from_value::<Behaviour>(behaviour.clone()).expect("a behaviour"));
    }
    site
}

/// Everything up to the end, each byte as the character of its number.
pub(crate) async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    tokio::time::timeout(DEADLINE, stream.read_to_end(&mut bytes)).await.expect("an end").expect("no reset");
    bytes.into_iter().map(char::from).collect()
}

/// Exactly as many bytes as `text` has, which must be it.
pub(crate) async fn expect(stream: &mut (impl AsyncRead + Unpin), text: &str) {
    let mut bytes = vec![0; text.len()];
    tokio::time::timeout(DEADLINE, stream.read_exact(&mut bytes)).await.expect("in time").expect("as many bytes");
    assert_eq!(String::from_utf8_lossy(&bytes), text);
}

/// All bytes until the server ends the connection, and whether it did so by a reset.
pub(crate) async fn until_end(stream: &mut (impl AsyncRead + Unpin)) -> (String, bool) {
    let mut bytes = Vec::new();
    let end = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut bytes)).await.expect("an end");
    let reset = end.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset);
    (bytes.into_iter().map(char::from).collect(), reset)
}
