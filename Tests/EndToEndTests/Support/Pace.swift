import Foundation

/// Blocks the thread until it is time for what a load or a nemesis does next; for pace alone, never to
/// wait until something has happened.
func pause(until due: ContinuousClock.Instant) {
    let left = due - ContinuousClock.now
    guard left > .zero else { return }
    let parts = left.components
    var time = timespec(
        tv_sec: Int(parts.seconds), tv_nsec: Int(parts.attoseconds / 1_000_000_000))
    nanosleep(&time, nil)
}
