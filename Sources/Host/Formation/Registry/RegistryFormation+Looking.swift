import Chance
import Cluster

/// Looks at the registry: first the record `leader`, then the records of nodes.
extension RegistryFormation {
    mutating func lookIfDue() {
        guard request == nil, writing == nil, now >= nextLook else { return }
        ask(.read(RecordName.leader), .lookAtLeader)
    }

    mutating func sawLeader(_ answer: RegistryAnswer, sentAt: Duration) {
        guard case .record(let record) = answer else { return lookFailed(answer) }
        var leader = RegistryView.Leader.absent
        if let record {
            leader = .present(LeaderContent(parsing: record.value), record.revision)
            absentSince = nil
        } else if absentSince == nil {
            absentSince = now
        }
        if shown != record?.revision { conflicts = 0 }
        shown = record?.revision
        watch(leader)
        // The records of nodes belong to the same look, whose beginning is this request's.
        ask(.list(prefix: RecordName.nodes), .lookAtNodes(leader))
        request = request.map { Request(id: $0.id, purpose: $0.purpose, sentAt: sentAt) }
    }

    private mutating func watch(_ leader: RegistryView.Leader) {
        guard case .present(.entry(let entry), let revision) = leader, entry.state == .forming
        else { return watched = nil }
        if watched?.revision != revision { watched = (revision, now) }
    }

    mutating func sawNodes(
        _ answer: RegistryAnswer, _ leader: RegistryView.Leader, sentAt: Duration
    ) {
        var records: [NodeRecord] = []
        var isCut = false
        switch answer {
        case .records(let stored):
            records = NodeRecord.all(in: stored)
            isCut = stored.count > RegistryLimits.records
        case .failed(let failure) where failure.kind == .forbidden && quota == 1:
            // Only the record `leader` is permitted: it alone has to do.
            recordsRefused = failure.description
        case .failed(let failure) where leader.isFormed && failure.kind != .permanent:
            // Who leads is known, and the founders: that is enough to join.
            recordsRefused = failure.description
        default: return lookFailed(answer)
        }
        lookFailure = nil
        couldLook = true
        view = RegistryView(
            leader: leader, records: records, isCut: isCut, startedAt: sentAt, endedAt: now)
        isDecisionDue = true
        nextLook = now + pauseBetweenLooks()
    }

    /// A fifth more or less than the interval, and no longer than what is waited for.
    private mutating func pauseBetweenLooks() -> Duration {
        let isEager = now < settings.eagerPeriod && view.map { !isDecided($0) } ?? true
        let interval = isEager ? settings.eagerLookInterval : settings.lookInterval
        let pause = interval * Int(jitter.next() % 401 + 800) / 1_000
        guard let view, case .absent = view.leader, let absentSince,
            view.startedAt < absentSince + settings.absence
        else { return pause }
        // The look that confirms the absence.
        return min(pause, max(.zero, absentSince + settings.absence - now))
    }

    private mutating func lookFailed(_ answer: RegistryAnswer) {
        guard case .failed(let failure) = answer else {
            lookFailure = "the registry's plugin answered something else than it was asked"
            return nextLook = now + jitter.pause(800, 1_200)
        }
        lookFailure = failure.description
        switch failure.kind {
        case .unavailable, .timeout: nextLook = now + jitter.pause(300, 700)
        case .forbidden: nextLook = now + jitter.pause(1_000, 3_000)
        // A plugin that was lost is made anew, perhaps just when a file of its configuration is exchanged.
        case .permanent where couldLook: nextLook = now + jitter.pause(1_000, 3_000)
        case .permanent: finish(.fatal(failure.description))
        }
    }

    /// What came of a write is to be seen.
    mutating func lookSoon(_ pause: Duration = .zero) {
        nextLook = min(nextLook, now + pause)
    }
}
