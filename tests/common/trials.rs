//! Trials of the test programs that report as ignored what can't run here.

use std::panic::{UnwindSafe, catch_unwind};

use libtest_mimic::{Failed, Trial};

pub fn trial(
    name: &str,
    is_ignored: bool,
    test: impl FnOnce() + Send + UnwindSafe + 'static,
) -> Trial {
    Trial::test(name, || {
        catch_unwind(test).map_err(|_| Failed::from("see the panic above"))
    })
    .with_ignored_flag(is_ignored)
}

/// A trial of each function, ignored if the first expression says so.
#[allow(unused_macros)]
macro_rules! trials {
    ($is_ignored:expr; $($name:ident),+ $(,)?) => {
        vec![$($crate::trials::trial(stringify!($name), $is_ignored, $name)),+]
    };
}
#[allow(unused_imports)]
pub(crate) use trials;
