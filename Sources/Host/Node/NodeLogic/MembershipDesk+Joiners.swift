import PeerProtocol
import Raft

/// What is looked at in who wants to join, and in who answers in its place.
extension MembershipDesk {
    /// Who comes in must be able to apply what the others do. A member stays one: of its extensions an
    /// alarm tells.
    func refusalForExtensions(of hello: Hello, _ raft: RaftMachine) -> String? {
        guard raft.membership[hello.identity.id]?.incarnation != hello.identity.incarnation,
            let sets = extensions(hello.versions.engine)
        else { return nil }
        return "node \(hello.identity.id) has other SQLite extensions than the cluster: "
            + "\(sets.other), here \(sets.own). Give it the same files by -extensions-path"
    }

    /// Whether who answers at a member's known address is that member, and not the joiner itself,
    /// which may be reachable by its old address, too.
    func isAlive(_ other: Hello, as request: JoinRequest, _ raft: RaftMachine) -> Bool {
        other.identity.id == request.identity.id
            && other.identity.incarnation == raft.membership[request.identity.id]?.incarnation
            && (other.identity != request.identity || isOther(other, than: request))
    }

    /// Why the node can't be added any more: since it asked, another data directory has become the member
    /// of its ID, or another process with its own has, and nobody was asked where that is. The joiner may have ended
    /// before, and its answer have been late; it asks anew.
    /// - Parameter known: the member of its ID when it asked; nil: there was none.
    static func refusal(
        toAdd request: JoinRequest, replacing known: Member?, to membership: Membership
    ) -> String? {
        let identity = request.identity
        guard let member = membership[identity.id] else { return nil }
        guard member.incarnation == identity.incarnation else {
            guard member.incarnation != known?.incarnation else { return nil }
            return "node ID \(identity.id) was taken meanwhile, by the member at \(member.address)"
        }
        let wasLookedFor =
            known?.incarnation == member.incarnation && known?.address == member.address
        guard member.address != request.address, !wasLookedFor else { return nil }
        return "node \(identity.id) came to \(member.address) meanwhile: ask again"
    }

    /// Whether two that bear one identity are two processes: by their runs, or, of one that does not
    /// say, by their addresses, for two can't listen at one.
    func isOther(_ hello: Hello, than request: JoinRequest) -> Bool {
        guard let one = hello.run, let other = request.run else {
            return hello.address != request.address
        }
        return one != other
    }
}
