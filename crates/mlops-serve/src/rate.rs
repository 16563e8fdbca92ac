//! The rate limit of each client: a number of requests per second, and a burst after a pause.
//!
//! A client is just a number here, so that nothing about it is kept, and there is room for a fixed number
//! of them, so that memory stays the same under any number of addresses. Who the client is is determined in
//! `admission`. The memory for bodies is in `budget`.

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mlops_core::config::RateLimit;

/// Groups of clients; each has a lock of its own.
const SETS: usize = 4096;
/// Clients that are known in a group at a time.
const WAYS: usize = 16;

/// Until when the requests that a client has sent are paid for, in nanoseconds of the clock: the
/// generic cell rate algorithm, which is a bucket of tokens in one number.
#[derive(Debug, Clone, Copy, Default)]
struct Client {
    key: u64,
    paid_until: u64,
}

/// How many requests each client sent recently.
#[derive(Debug)]
pub(crate) struct Rates {
    sets: Box<[Mutex<[Client; WAYS]>]>,
    /// Random keys, so that no attacker can choose addresses that share a set.
    hasher: RandomState,
}

impl Default for Rates {
    fn default() -> Self {
        let sets = (0..SETS).map(|_| Mutex::default()).collect();
        Self { sets, hasher: RandomState::new() }
    }
}

impl Rates {
    /// Counts a request of `client` at `now`, a time of the clock; or says how long the client is to
    /// wait.
    pub(crate) fn ask(
        &self,
        client: &impl Hash,
        limit: &RateLimit,
        now: Duration,
    ) -> Result<(), Duration> {
        let now = nanoseconds(now);
        let each = nanoseconds(Duration::from_secs_f64(1.0 / limit.requests_per_second));
        let burst = each.saturating_mul(u64::from(limit.burst));
        let key = self.hasher.hash_one(client);
        let set = usize::try_from(key % SETS as u64).unwrap_or_default();
        let mut clients = self.sets[set].lock().unwrap_or_else(PoisonError::into_inner);
        let known = clients.iter().position(|c| c.key == key);
        // A stranger takes the place of the one who has waited longest; that one has usually been
        // forgiven everything already.
        let place = known.unwrap_or_else(|| {
            let places = clients.iter().enumerate();
            places.min_by_key(|(_, c)| c.paid_until).map_or(0, |(place, _)| place)
        });
        let paid = if known.is_some() { clients[place].paid_until.max(now) } else { now };
        let next = paid.saturating_add(each);
        let wait = next.saturating_sub(now.saturating_add(burst));
        if wait > 0 {
            return Err(Duration::from_nanos(wait));
        }
        clients[place] = Client { key, paid_until: next };
        Ok(())
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use mlops_core::config::Counted;

    use super::*;

    const LIMIT: RateLimit = RateLimit { requests_per_second: 2.0, burst: 5, by: Counted::Address };

    #[test]
    fn a_burst_is_answered_and_then_so_many_a_second() {
        let rates = Rates::default();
        let mut now = Duration::from_secs(100);
        for _ in 0..5 {
            rates.ask(&1, &LIMIT, now).unwrap();
        }
        assert_eq!(rates.ask(&1, &LIMIT, now), Err(Duration::from_millis(500)));
        assert_eq!(rates.ask(&1, &LIMIT, now), Err(Duration::from_millis(500)), "costs nothing");
        rates.ask(&2, &LIMIT, now).unwrap();
        let (mut answered, step) = (0, Duration::from_millis(10));
        for _ in 0..1000 {
            now += step;
            answered += u32::from(rates.ask(&1, &LIMIT, now).is_ok());
        }
        assert_eq!(answered, 20, "ten seconds");
        now += Duration::from_mins(1);
        let burst = (0..10).filter(|_| rates.ask(&1, &LIMIT, now).is_ok()).count();
        assert_eq!(burst, 5, "a long pause is worth no more than a burst");
    }

    #[test]
    fn many_strangers_take_no_memory_and_do_not_free_the_one_who_asks_most() {
        let rates = Rates::default();
        let now = Duration::from_secs(1);
        let slow = RateLimit { requests_per_second: 0.001, burst: 100, by: Counted::Address };
        for _ in 0..100 {
            rates.ask(&"greedy", &slow, now).unwrap();
        }
        let mut admitted = 0;
        for stranger in 0..1_000_000_u32 {
            rates.ask(&stranger, &slow, now).unwrap();
            if stranger % 1000 == 0 {
                admitted += u32::from(rates.ask(&"greedy", &slow, now).is_ok());
            }
        }
        assert_eq!(admitted, 0);
        assert_eq!(rates.sets.len() * size_of::<[Client; WAYS]>(), 1 << 20);
    }
}
