//! Floods a stage over keep-alive connections in the same process, and prints requests per second and the most memory
//! that the process used:
//!
//!     cargo run --release -p crosscheck-servers --example load -- --connections 32 --seconds 5
//!
//! As in a run of the suite, sites come and go: each connection publishes one, sends it a thousand requests with the
//! header lines of a browser, checks its log, and withdraws it.
//!
//! Measured on two cores that others were using too: 31,500 requests/s and 74 MB, most of it the 32 logs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crosscheck_servers::{Behaviour, Ended, Route, Site, Stage, StageConfig, Token};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Requests to one site.
const ROUND: usize = 1000;

fn main() -> Result<(), Fault> {
    let connections = option("--connections")?.unwrap_or(32);
    let seconds = option("--seconds")?.unwrap_or(5);
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(connections, seconds))
}

fn option(name: &str) -> Result<Option<u64>, Fault> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
    Ok(arguments.next().map(|value| value.parse()).transpose()?)
}

async fn run(connections: u64, seconds: u64) -> Result<(), Fault> {
    let stage = Stage::start(StageConfig::default()).await?;
    let answered = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let end = start + Duration::from_secs(seconds);
    let floods: Vec<_> =
        (0..connections).map(|_| tokio::spawn(flood(stage.clone(), Arc::clone(&answered), end))).collect();
    for flood in floods {
        flood.await??;
    }
    let answered = answered.load(Ordering::Relaxed);
    let rate = answered as f64 / start.elapsed().as_secs_f64();
    println!("{rate:.0} requests/s ({answered} over {connections} connections in {seconds} s)");
    match peak_memory() {
        Some(peak) => println!("{peak} at most in memory"),
        None => println!("the memory is not known on this system"),
    }
    stage.stop().await;
    Ok(())
}

async fn flood(stage: Stage, answered: Arc<AtomicU64>, end: Instant) -> Result<(), Fault> {
    let mut stream = TcpStream::connect(stage.addresses()[0]).await?;
    stream.set_nodelay(true)?;
    let mut answer = vec![0; 4096];
    while Instant::now() < end {
        let token = Token::random();
        let mut site = Site::new();
        let behaviour: Behaviour = serde_json::from_str(
            r#"{"headers": [["Access-Control-Allow-Origin", "{request.origin}"], ["Vary", "Origin"]]}"#,
        )?;
        site.insert(Route { origin: "http://api.test".parse()?, path: "/".to_owned() }, behaviour);
        stage.publish(token.clone(), site);
        let request = request(&token);
        for _ in 0..ROUND {
            stream.write_all(request.as_bytes()).await?;
            let mut length = 0;
            while !answer[..length].ends_with(b"\r\n\r\nhello") {
                match stream.read(&mut answer[length..]).await? {
                    0 => return Err("the stage closed the connection".into()),
                    more => length += more,
                }
            }
        }
        answered.fetch_add(ROUND as u64, Ordering::Relaxed);
        let log = stage.withdraw(&token);
        let whole = log.len() == ROUND && log[..ROUND - 1].iter().all(|exchange| exchange.ended == Ended::Answered);
        if !whole {
            return Err("the log is not what was sent".into());
        }
    }
    Ok(())
}

fn request(token: &Token) -> String {
    format!(
        "GET /{token}/ HTTP/1.1\r\nHost: api.test\r\nConnection: keep-alive\r\nOrigin: https://page.test\r\n\
         User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0\r\n\
         Accept: */*\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n\
         Referer: https://page.test/\r\nAccept-Encoding: gzip, deflate\r\nAccept-Language: en-US,en;q=0.9\r\n\r\n"
    )
}

/// The peak resident set size, as Linux writes it.
fn peak_memory() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")).map(|size| size.trim().to_owned())
}
