import Chance
import Cluster

/// How long a keeper waits for an answer, and how long before it asks a registry again that failed.
///
/// A leader's entry has to be right within a second after the registry works again, so a request
/// that began while it did not must end soon: deadlines are short, half as long again as the
/// longest time in which this registry has ever answered. One that takes longer than ever, for good,
/// is found by a patient request now and then.
struct RegistryPatience: Sendable {
    static let shortest = Duration.milliseconds(600)
    static let longest = Duration.seconds(5)
    /// Between two patient requests to a registry that lets all others time out.
    static let patientInterval = Duration.seconds(300)

    private var slowest: Duration?
    private var timeouts = 0
    private var lastPatient: Duration = .zero
    /// Failures in a row.
    private(set) var failures = 0

    /// The time for a request that begins now.
    mutating func timeout(_ now: Duration) -> Duration {
        guard let slowest else {
            // Nothing is known yet: 0.6, 1.2, 2.4, 4.8 s, then as below.
            if timeouts < 4 {
                lastPatient = now
                return Self.shortest * (1 << timeouts)
            }
            return patientOrNot(now, Self.shortest)
        }
        let usual = min(max(slowest * 3 / 2, Self.shortest), Self.longest)
        return timeouts == 0 ? usual : patientOrNot(now, usual)
    }

    private mutating func patientOrNot(_ now: Duration, _ usual: Duration) -> Duration {
        guard lastPatient + Self.patientInterval <= now else { return usual }
        lastPatient = now
        return Self.longest
    }

    mutating func succeeded(after time: Duration, _ now: Duration) {
        slowest = max(slowest ?? .zero, min(time, Self.longest))
        timeouts = 0
        failures = 0
        lastPatient = now
    }

    /// How long to leave the registry alone.
    ///
    /// - Parameter isUrgent: the leader's entry may be wrong.
    mutating func failed(
        _ kind: RegistryFailure.Kind, isUrgent: Bool, _ jitter: inout SplitMix64
    ) -> Duration {
        failures += 1
        if kind == .timeout { timeouts += 1 }
        switch kind {
        case .permanent: return jitter.pause(30_000, 60_000)
        case .forbidden: return isUrgent ? jitter.pause(3_000, 6_000) : jitter.pause(5_000, 10_000)
        case .timeout where isUrgent: return jitter.pause(50, 200)
        case .unavailable where isUrgent: return jitter.pause(250, 600)
        case .timeout, .unavailable:
            let longest = 1_000 << min(failures - 1, 3)
            return jitter.pause(longest / 2, longest)
        }
    }
}
