import Chance
import Cluster

/// How long a keeper waits for an answer, and how long before it asks a registry again that failed.
///
/// A leader's entry has to be right soon after the registry works again, before a claim in its place
/// is completed; so a request that began while it did not must end soon: deadlines are short, half as
/// long again as the longest time in which this registry has answered lately. One that takes longer
/// than ever, for good, is found by a patient request now and then.
struct RegistryPatience: Sendable {
    static let shortest = Duration.milliseconds(250)
    static let longest = Duration.seconds(5)
    /// Between two patient requests to a registry that lets all others time out.
    static let patientInterval = Duration.seconds(60)

    private var slowest: Duration?
    private var timeouts = 0
    private var lastPatient: Duration = .zero
    /// Failures in a row.
    private(set) var failures = 0

    /// The time for a request that begins now.
    mutating func timeout(_ now: Duration) -> Duration {
        guard let slowest else {
            // Nothing is known yet: 0.25, 0.5, 1, 2, 4 s, then as below.
            if timeouts < 5 {
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
        // A slow answer is forgotten by and by: half of it after some fifty quick ones.
        slowest = max((slowest ?? .zero) * 63 / 64, min(time, Self.longest))
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
        case .permanent where isUrgent: return jitter.pause(3_000, 6_000)
        case .permanent: return jitter.pause(30_000, 60_000)
        case .forbidden: return isUrgent ? jitter.pause(3_000, 6_000) : jitter.pause(5_000, 10_000)
        case .timeout where isUrgent: return jitter.pause(20, 60)
        case .unavailable where isUrgent: return jitter.pause(100, 250)
        case .timeout, .unavailable:
            let longest = 1_000 << min(failures - 1, 3)
            return jitter.pause(longest / 2, longest)
        }
    }
}
