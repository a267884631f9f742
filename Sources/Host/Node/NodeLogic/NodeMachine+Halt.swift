import PeerProtocol
import Raft
import Replication
import Service
import Time
import Wire

/// What a node does that must not apply the next entry, and how an operator decides about it.
extension NodeMachine {
    /// Why nothing is applied, for the operator; nil while it is.
    var haltText: String? { halt?.note(options).text }

    /// The database's thread refused the entry after `index`.
    mutating func applyHalted(_ cause: ApplyHalt, after index: LogIndex) {
        halt = cause
        reviewTroubles()
        replicated?.applyHalted(after: index)
        if case .appliedSkipped(let skip) = cause {
            distrustDatabase(
                "this node had applied log entry \(skip.index), which the cluster decided to leave out",
                at: LogIndex(skip.index))
        }
    }

    /// Skips that the log holds, committed. One that is about the entry in doubt decides.
    mutating func decided(_ skips: [EntrySkip]) {
        emit(.database(.decide(skips)))
        guard case .suspected(let entry)? = halt,
            skips.contains(where: { $0.index == entry.index.rawValue && $0.hash == entry.hash })
        else { return }
        say(
            .warning, "a log entry is left out by the cluster's decision",
            ["raft.index": "\(entry.index)", "hash": "\(entry.hash)"])
        resumeApplying()
    }

    private mutating func resumeApplying() {
        halt = nil
        behindSince = nil
        reviewTroubles()
        replicated?.resumeApplying()
    }

    /// A snapshot of another node took the database's place.
    mutating func databaseReplaced() { halt = nil }

    // MARK: Decisions of an operator

    mutating func dispatch(
        _ decision: ApplyDecision, _ pending: PendingRequest, _ standing: Standing
    ) {
        switch decision {
        case .tryAgain: tryAgain(pending)
        case .skip(let skip, let isChecked): self.skip(skip, isChecked, pending, standing)
        }
    }

    private mutating func tryAgain(_ pending: PendingRequest) {
        guard case .suspected(let entry)? = halt else {
            return refuse(
                pending,
                "this node is in no doubt about a log entry: there is nothing to try again")
        }
        say(.warning, "a log entry is tried again", ["raft.index": "\(entry.index)"])
        emit(.database(.tryAgain))
        resumeApplying()
        router.answer(pending, .done)
    }

    /// Whoever is in doubt about the entry knows its hash and its place, and so asks the leader in
    /// terms that nobody has to check again: their logs are the same where they are committed.
    private mutating func skip(
        _ skip: EntrySkip, _ isChecked: Bool, _ pending: PendingRequest, _ standing: Standing
    ) {
        var (pending, skip) = (pending, skip)
        if !isChecked, case .suspected(let entry)? = halt {
            guard skip.index == entry.index.rawValue, skip.hash == entry.hash else {
                return refuse(
                    pending,
                    "the entry that this node does not apply is \(entry.index) with hash "
                        + "\(entry.hash): nothing was decided about another one")
            }
            skip = entry.skip
            var request = pending.content.request
            request.operation = .applyDecision(.skip(skip, isChecked: true))
            pending.content = .init(request)
        } else if !isChecked, standing.role == .leader {
            return refuse(
                pending,
                "this node, which leads, is in no doubt about a log entry: ask a node whose /readyz "
                    + "names the entry")
        }
        guard router.leads(pending, standing, now) else { return }
        say(
            .warning, "an operator decided to leave a log entry out",
            ["raft.index": "\(skip.index)", "hash": "\(skip.hash)"])
        propose([(.decision(pending), LogCommand.skip(skip).encoded())])
    }

    private mutating func refuse(_ pending: PendingRequest, _ text: String) {
        router.answer(pending, .failed(.unsuitable(text)))
    }

    // MARK: Limits on writes

    mutating func dispatch(
        _ change: WriteLimitsChange?, _ pending: PendingRequest, _ standing: Standing
    ) {
        guard router.leads(pending, standing, now) else { return }
        if let haltText { return router.answer(pending, .failed(.notReady(haltText))) }
        guard let change else {
            // What its predecessors had agreed must be in this leader's database first.
            guard standing.canServeAsLeader else { return router.park(pending) }
            return router.answer(pending, .limits(limits))
        }
        guard !standing.isDiskFull else { return router.answer(pending, .failed(.diskFull)) }
        propose([(.decision(pending), LogCommand.limits(change).encoded())])
    }

    // MARK: Waiting until a decision is applied

    /// The entry of the decision is handed out to be applied.
    mutating func awaitDecision(_ pending: PendingRequest, at index: LogIndex) {
        // That it is committed is all there is to a skip.
        guard case .limits = pending.content.request.operation else {
            return router.answer(pending, .done)
        }
        awaitedDecisions.append((index, pending))
    }

    mutating func answerDecisions() {
        guard !awaitedDecisions.isEmpty, let applied = replicated?.appliedIndex else { return }
        for (index, pending) in awaitedDecisions where index <= applied {
            router.answer(pending, .limits(limits))
        }
        awaitedDecisions.removeAll { $0.index <= applied }
        for (_, pending) in awaitedDecisions where pending.deadline <= now {
            router.answer(pending, .failed(.timedOut(waitingFor: "the limits to be applied")))
        }
        awaitedDecisions.removeAll { $0.pending.deadline <= now }
    }

    // MARK: Leading

    /// Nothing is applied here, so that this node, as leader, takes no writes though others could.
    private var leadsInVain: Bool { lacksDatabase || appliesNothing }

    /// That nothing is applied is known for sure: it is not only that a batch takes long.
    private var lacksDatabase: Bool { servesNothing || isDatabaseFull }

    /// A leader that serves nothing, or whose database has no room or stands still, looks for a member that is ready,
    /// and hands over to it. While there is none it stays: somebody must lead for a decision to be committed.
    mutating func handOverIfHalted() {
        // Of a log that can't be written the core knows more: who follows may need the vote that this node can't
        // give (decision 21).
        guard leadsInVain, let replicated, replicated.raft.isReadyLeader,
            !replicated.isStorageStalled
        else {
            if !ableSince.isEmpty { ableSince = [:] }
            soughtSince = nil
            return
        }
        guard now - soughtSuccessorAt >= Self.successorPause else { return }
        soughtSuccessorAt = now
        soughtSince = soughtSince ?? now
        for member in replicated.raft.membership.members
        where member.suffrage == .voter && member.id != options.identity.id {
            call(
                .successor(member.id), .hello, at: address(of: member.id) ?? member.address,
                timeout: .seconds(2))
        }
    }

    mutating func successorAnswered(_ id: NodeID, _ result: PeerResult) {
        guard case .success(.hello(let hello)) = result, hello.identity.id == id, hello.isReady,
            leadsInVain, replicated?.raft.isReadyLeader ?? false,
            replicated?.isStorageStalled == false,
            // Who has not come to the entry at which this node stands has not been held up by it yet.
            lacksDatabase || hello.commitIndex > replicated?.appliedIndex ?? .zero
        else {
            ableSince[id] = nil
            return
        }
        let since = ableSince[id] ?? now
        ableSince[id] = since
        // Who has the same to apply and got it a moment later is not ready either, but says so that much later. And
        // what took the others long may take a leader longer, which serves reads and may send a snapshot.
        let shortest = options.standstillTime
        let patience = min(max(shortest, since - (soughtSince ?? since)), shortest * 12)
        guard lacksDatabase || now - since >= patience else { return }
        do throws(Refusal) {
            try replicated?.transferLeadership(to: id)
            say(
                .warning, "leadership goes to a node that applies its log",
                ["node.id": "\(id)"])
        } catch {
            say(.debug, "leadership stays", ["cause": "\(error)"])
        }
    }

    private static var successorPause: Duration { .seconds(1) }
}
