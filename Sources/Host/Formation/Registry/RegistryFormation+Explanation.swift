import Cluster
import Raft

/// What the formation waits for, in words an operator can act on.
extension RegistryFormation {
    mutating func explain() {
        guard isExplanationDue, now >= nextExplanation else { return }
        isExplanationDue = false
        // Of many addresses each would be a line of the log.
        if failures.count > Self.shownFailures { nextExplanation = now + .seconds(1) }
        say(currentExplanation())
    }

    private func currentExplanation() -> String {
        if let founding = state.founding { return "starting cluster \(founding.cluster)" }
        if let lookFailure { return "the registry can't be used: \(lookFailure)" }
        if conflicts > 1, state.claim != nil {
            let write =
                shown == nil ? "make the leader entry" : "replace the leader entry at the revision"
            return
                "the registry refuses to \(write) that it \(shown == nil ? "does not show" : "shows"): its "
                + "reads are older than its writes, or what may be read and written there differs"
        }
        guard let view else { return "no answer of the registry yet" }
        switch view.leader {
        case .absent: return explainAbsence(view)
        case .present(.entry(let entry), let revision):
            let place = "node \(entry.id) at \(entry.address)"
            switch entry.state {
            case .forming where state.claim?.value.cluster == entry.cluster:
                return parts("founding cluster \(entry.cluster)", explainFounders(view))
            case .forming:
                // Nobody takes its place then.
                let clusters = view.members(besides: identity.id).compactMap(\.cluster)
                if let cluster = clusters.first(where: { $0 != entry.cluster }) {
                    return explainJoining(
                        "\(place) has claimed to found cluster \(entry.cluster), but the registry has records of "
                            + "nodes of cluster \(cluster); joining through them",
                        clear: "--cluster \(cluster)")
                }
                return parts(
                    "\(place) has claimed to found cluster \(entry.cluster); the claim may be taken "
                        + "over when it has not changed for "
                        + "\(settings.takeover.components.seconds) s", explainFounders(view))
            case .formed:
                // Who answers there under this node's ID is another node.
                let isOwn =
                    entry.address == settings.introduction.address
                    || entry.id == identity.id
                        && !hellos.contains { $0.address == entry.address }
                return explainJoining(
                    "joining cluster \(entry.cluster), by the registry led by \(place)"
                        + (isOwn ? ", which is this node, without data" : ""),
                    clear: "--expect \(revision)", always: isOwn)
            }
        case .present(.foreign(let id, _, let address), let revision):
            return explainJoining(
                "the registry's leader entry was written by rqlite and names node \(id) at "
                    + "\(address)", clear: "--expect \(revision)")
        case .present(.unreadable(let reason), let revision):
            return explainJoining(
                "the registry's leader entry can't be read: \(reason)",
                clear: "--expect \(revision)", always: true)
        }
    }

    private func explainAbsence(_ view: RegistryView) -> String {
        if let member = view.members(besides: identity.id).first, let cluster = member.cluster {
            return explainJoining(
                "the registry has no leader entry, but records of nodes of cluster \(cluster); "
                    + "joining through them", clear: "--cluster \(cluster)")
        }
        if settings.introduction.suffrage != .voter {
            return parts("no cluster in the registry yet", explainFailures())
        }
        return parts("no cluster in the registry yet", explainFounders(view))
    }

    /// With what can be done where the cluster is gone, once somebody could not be reached.
    private func explainJoining(_ head: String, clear: String, always: Bool = false) -> String {
        guard always || !failures.isEmpty else { return head }
        return parts(
            head,
            explainFailures() + [
                "if that cluster is gone for good, run \(settings.clearCommand) \(clear)"
            ])
    }

    /// The first few, for a line has an end.
    private func explainFailures() -> [String] {
        let shown = failures.prefix(Self.shownFailures).map { "\($0.address): \($0.reason)" }
        guard failures.count > shown.count else { return shown }
        return shown + ["and \(failures.count - shown.count) more addresses that don't answer"]
    }

    private static var shownFailures: Int { 8 }

    private func explainFounders(_ view: RegistryView) -> [String] {
        guard settings.introduction.suffrage == .voter, quota > 1 else { return [] }
        let isShown = view.records.contains { $0.identity == identity }
        guard isShown else { return ["this node's own record is not in the registry yet"] }
        let names = ([identity.id] + confirmed(view).map(\.identity.id)).sorted()
        let text = names.map(\.rawValue).joined(separator: ", ")
        let count = "\(min(names.count, quota)) of \(quota) nodes seen: \(text)"
        let more = quota - names.count
        let advice =
            more > 0 && contradictions.isEmpty
            ? ["start \(more) more, or see why no more are reached"] : []
        return [count] + explainFailures() + contradictions.map(\.refusal.description) + advice
    }

    private func parts(_ head: String, _ rest: [String]) -> String {
        ([head] + rest).joined(separator: "; ")
    }
}
