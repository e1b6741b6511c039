//! Runs in real browsers, and in the reference agent where no browser is needed: verdicts, seeded faults, and that nothing is left behind however a run ends.

use std::io::BufRead as _;
use std::os::unix::process::ExitStatusExt as _;

use crate::support::{Bench, available, slow_case, sound_case, stderr, wait_for_line, wait_until};
use crosscheck_reports::Verdict;
use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

fn kill(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process");
    kill_process(pid, signal).expect("it takes signals");
}

#[rstest]
#[case("chromium")]
#[case("firefox")]
#[case("webkit")]
#[case("reference")]
fn a_header_that_the_server_drops_is_noticed(#[case] engine: &str) {
    if !available(engine) {
        return;
    }
    let mut case = sound_case("a");
    case["given"]["https://api.other.test/"] = json!({});
    let bench = Bench::with_cases(json!([case]));
    let output = bench.run(&["--agent", engine]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let result = bench.only_result(engine);
    assert_eq!((result.verdict, result.attempts), (Verdict::Fail, 2));
    let at: Vec<&str> = result.differences.iter().map(|difference| difference.at.as_str()).collect();
    assert!(at.contains(&"page[0].result") && at.contains(&"grade"), "{at:?}");
    assert_eq!(result.wire.unpack().len(), 1, "the request arrived");
    bench.assert_clean();
}

#[rstest]
#[case("chromium")]
#[case("firefox")]
#[case("reference")]
fn a_block_for_another_reason_than_expected_fails(#[case] engine: &str) {
    if !available(engine) {
        return;
    }
    let mut case = sound_case("a");
    case["given"]["https://api.other.test/"] = json!({});
    case["then"] = json!({ "page": "network-error", "wire": ["GET"], "reason": "multiple-allow-origin" });
    let bench = Bench::with_cases(json!([case]));
    assert_eq!(bench.run(&["--agent", engine]).status.code(), Some(1));
    let result = bench.only_result(engine);
    assert_eq!(result.verdict, Verdict::Fail);
    assert_eq!(result.differences.len(), 1, "{:?}", result.differences);
    assert_eq!(result.differences[0].at, "reason");
    assert!(result.differences[0].observed.starts_with("missing-allow-origin"), "{:?}", result.differences);
}

/// Known, fixed, and deviating in another way than the known one.
#[rstest]
#[case(json!({}), json!({ "page": "network-error", "wire": ["GET"] }), Verdict::Known, 0)]
#[case(json!({}), json!({ "page": "opaque" }), Verdict::Fail, 1)]
#[case(json!({ "headers": [["Access-Control-Allow-Origin", "{page}"]] }), json!({}), Verdict::Fixed, 1)]
fn an_expectation_explains_just_what_it_says(
    #[case] behaviour: Value,
    #[case] instead: Value,
    #[case] verdict: Verdict,
    #[case] code: i32,
) {
    let mut case = sound_case("a");
    case["given"]["https://api.other.test/"] = behaviour;
    let bench = Bench::with_cases(json!([case]));
    let entry = json!([{
        "cases": ["sample/a"], "instead": instead, "cause": "For this test.", "requires": "fetch.cors-check.4b", "since": "1"
    }]);
    bench.write("known/reference.json", &entry.to_string());
    let output = bench.run(&["--agent", "reference", "--expectations", "known"]);
    assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
    assert_eq!(bench.only_result("reference").verdict, verdict);
}

#[rstest]
#[case("chromium")]
#[case("firefox")]
#[case("webkit")]
fn a_browser_that_is_killed_in_mid_run_costs_no_result(#[case] engine: &str) {
    if !available(engine) {
        return;
    }
    let bench = Bench::with_cases(json!([slow_case("slow"), sound_case("quick")]));
    let mut run = bench.start_run(&["--agent", engine]);
    // The run says so when the browser is ready; the slow case then keeps it busy.
    let said = wait_for_line(&mut run, "2 cases");
    for (pid, command) in bench.processes() {
        // The driver is left alive: it has to notice.
        let program = command.split(' ').next().unwrap_or_default().to_lowercase();
        if !program.ends_with("driver") && !program.ends_with("xvfb") {
            let _ = kill_process(Pid::from_raw(pid).expect("a process"), Signal::KILL);
        }
    }
    let status = run.wait().expect("it ends");
    assert_eq!(status.code(), Some(0), "{said}");
    let record = bench.record(engine);
    assert_eq!(record.results.iter().map(|result| result.verdict).collect::<Vec<_>>(), [Verdict::Pass; 2]);
    assert!(record.results.iter().any(|result| result.attempts > 1), "it was tried again");
    bench.assert_clean();
}

#[rstest]
#[case("chromium")]
#[case("firefox")]
#[case("webkit")]
fn ctrl_c_ends_the_run_and_leaves_nothing_behind(#[case] engine: &str) {
    if !available(engine) {
        return;
    }
    let bench = Bench::with_cases(json!([slow_case("slow")]));
    let run = bench.start_run(&["--agent", engine]);
    wait_until("the driver", || (!bench.processes().is_empty()).then_some(()));
    kill(run.id(), Signal::INT);
    let output = run.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    assert!(stderr(&output).contains("--resume"), "{}", stderr(&output));
    bench.assert_clean();
}

#[test]
fn a_harness_that_is_killed_leaves_nothing_behind() {
    if !available("chromium") {
        return;
    }
    let bench = Bench::with_cases(json!([slow_case("slow")]));
    let mut run = bench.start_run(&["--agent", "chromium"]);
    wait_until("the browser", || bench.processes().into_iter().find(|(_, command)| command.contains("--type=")));
    kill(run.id(), Signal::KILL);
    assert_eq!(run.wait().expect("it ends").signal(), Some(9));
    wait_until("the guard to clean up", || {
        let left = std::fs::read_dir(bench.path("tmp")).expect("a folder").count();
        (left == 0 && bench.processes().is_empty()).then_some(())
    });
    bench.assert_clean();
}

#[test]
fn a_run_goes_on_from_its_journal() {
    let bench = Bench::with_cases(json!([sound_case("a"), sound_case("b")]));
    assert_eq!(bench.run(&["--agent", "reference"]).status.code(), Some(0));
    let journal = bench.path("out/reference/journal.jsonl");
    let lines = std::fs::read_to_string(&journal).expect("a journal");
    let (first, second) = lines.trim_end().split_once('\n').expect("two lines");
    // As if the disk had been full in the middle of the second line.
    std::fs::write(&journal, format!("{first}\n{}", &second[..second.len() / 2])).expect("a file");
    let output = bench.run(&["--agent", "reference", "--resume"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("1 cases"), "only one is run again: {}", stderr(&output));
    assert_eq!(bench.record("reference").results.len(), 2);
}

#[test]
fn a_run_writes_every_report() {
    let bench = Bench::with_cases(json!([sound_case("a")]));
    let output = bench.run(&["--agent", "reference", "--repeat", "2"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(bench.only_result("reference").attempts, 2);
    for file in ["index.html", "junit.xml", "summary.md", "reference/run.json", "reference/journal.jsonl"] {
        assert!(bench.path("out").join(file).metadata().expect(file).len() > 0, "{file}");
    }
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(table.contains("reference") && table.contains("index.html"), "{table}");
}

/// The command that a run prints, typed in, runs just what was unexpected, and leaves the report of the whole run alone.
#[test]
fn what_was_unexpected_can_be_run_again_by_the_command_that_is_printed() {
    let mut wrong = sound_case("wrong");
    wrong["given"]["https://api.other.test/"] = json!({});
    let bench = Bench::with_cases(json!([sound_case("a"), wrong, sound_case("b")]));
    let output = bench.run(&["--agent", "reference", "--jobs", "3"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let command = said.lines().find(|line| line.contains("--again")).expect("a command").trim();
    for _ in 0..2 {
        let again = std::process::Command::new("sh")
            .args(["-c", command])
            .current_dir(bench.folder.path())
            .env("TMPDIR", bench.path("tmp"))
            .output()
            .expect("it starts");
        assert_eq!(again.status.code(), Some(1), "{command}: {}", stderr(&again));
        let record = crosscheck_reports::read_run(&bench.path("out/again")).expect("a run record");
        assert_eq!(record.results.iter().map(|result| result.id.as_str()).collect::<Vec<_>>(), ["sample/wrong"]);
        assert_eq!(record.suite.filter, "--again out");
    }
    assert_eq!(bench.record("reference").results.len(), 3);
    // It was put right: nothing is printed any more, and there is nothing to run again.
    bench.write("suite/sample.json", &{
        let text = std::fs::read_to_string(bench.path("suite/sample.json")).expect("a file");
        let mut file: Value = serde_json::from_str(&text).expect("JSON");
        file["cases"][1] = sound_case("wrong");
        file.to_string()
    });
    let output = bench.run(&["--agent", "reference"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(!String::from_utf8_lossy(&output.stdout).contains("--again"));
    let nothing = bench.run(&["--agent", "reference", "--again", "out"]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(stderr(&nothing).contains("nothing is unexpected in the runs in out"), "{}", stderr(&nothing));
}

#[test]
fn a_run_says_what_comes_and_ends_with_a_link() {
    let bench = Bench::with_cases(json!([sound_case("a")]));
    let output = bench.run(&["--agent", "reference"]);
    let said = stderr(&output);
    let lines = [
        "Running the suite in Reference: this takes about a minute",
        "Reference is starting",
        "1 cases",
        "Writing the reports",
    ];
    let found: Vec<Option<usize>> = lines.iter().map(|line| said.find(line)).collect();
    assert!(found.iter().all(Option::is_some) && found.is_sorted(), "{said}");
    let last = String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().to_owned();
    let page = bench.path("out/index.html").canonicalize().expect("a report");
    assert_eq!(last, format!("The report: file://{}", page.display()));
}

#[test]
fn a_webdriver_that_runs_already_is_used() {
    if !available("chromium") {
        return;
    }
    let bench = Bench::with_cases(json!([sound_case("a")]));
    let engine = crosscheck::Engine::find("chromium").expect("an engine");
    let installed = crosscheck::discover(&engine).expect("it is there");
    let mut driver = std::process::Command::new(installed.driver)
        .args(["--port=0"])
        .env("TMPDIR", bench.path("tmp"))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("it starts");
    // "ChromeDriver was started successfully on port 12345."
    let port = std::io::BufReader::new(driver.stdout.take().expect("it is piped"))
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.strip_suffix('.')?.rsplit_once("on port ").map(|(_, port)| port.to_owned()))
        .expect("it says its port");
    let output = bench.run(&["--agent", "chromium", "--webdriver", &format!("http://127.0.0.1:{port}")]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(driver.try_wait().expect("a status").is_none(), "a driver that is not ours is left running");
    driver.kill().expect("it can be killed");
    driver.wait().expect("it ends");
}
