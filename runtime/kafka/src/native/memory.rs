//! How many pools of memory the C library's allocator keeps for threads that ask for it at the same time.

/// Lets threads share the allocator's pools of memory: one for each processor.
///
/// librdkafka has some three threads for each client, and glibc makes up to eight pools for each processor, each of which keeps what
/// was freed in it. With as many as there are processors the passthrough benchmark takes 20 MB less, and is as fast
/// (docs/PERFORMANCE.md). Whoever sets `MALLOC_ARENA_MAX` has chosen already.
pub(crate) fn share_pools() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| {
            if std::env::var_os("MALLOC_ARENA_MAX").is_none() {
                let pools = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
                let pools = i32::try_from(pools).unwrap_or(i32::MAX);
                // SAFETY: it takes two numbers, may be called at any time, and changes only which pool is taken from then on.
                unsafe { libc::mallopt(libc::M_ARENA_MAX, pools) };
            }
        });
    }
}
