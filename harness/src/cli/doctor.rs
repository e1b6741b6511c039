use crosscheck::{Engine, discover};

use super::{Ended, Failure};

/// Which browsers and drivers are here. Ends with an environment failure where there is none at all.
pub(crate) fn doctor() -> Result<Ended, Failure> {
    let mut found = 0;
    for engine in Engine::built_in()? {
        match discover(&engine) {
            Ok(installed) => {
                found += 1;
                say!("{}: ready", engine.label);
                for program in [&installed.browser, &installed.driver] {
                    let version = discover::version(program).unwrap_or_else(|| "states no version".to_owned());
                    say!("    {} ({version})", program.display());
                }
                say!("    reasons for blocks: {}", engine.reasons.about);
            }
            Err(missing) => say!("{}: not ready\n    {missing}", engine.label),
        }
    }
    if found == 0 {
        return Err(Failure::Environment("there is no browser to run".to_owned()));
    }
    Ok(Ended::AsExpected)
}
