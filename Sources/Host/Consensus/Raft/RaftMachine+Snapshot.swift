/// Snapshots and compaction: the log as far as it lies in the database (thesis chapter 5).
extension RaftMachine {
    // MARK: On the leader

    /// Asked for once per follower, and only for one that answers.
    mutating func wantSnapshot(for peer: inout Progress) {
        if case .snapshot = peer.state { return }
        guard peer.ticksSinceAnswer < settings.electionTicks else {
            peer.waitForSnapshot(retryIn: settings.electionTicks)
            return
        }
        peer.waitForSnapshot()
        pending.snapshotsWanted.append(peer.id)
    }

    /// A snapshot stream to a follower ended.
    /// - Parameter index: what the installed snapshot covers; nil when the stream failed, and the
    ///   follower is asked again after an election timeout.
    package mutating func snapshotSent(to peer: NodeID, through index: LogIndex?) {
        lead { [settings] leader in
            guard let i = leader.position(of: peer) else { return }
            if let index {
                // It says so itself, and could say nothing while it put the snapshot in place.
                leader.progress[i].ticksSinceAnswer = 0
                leader.progress[i].installed(through: index)
            }
            guard leader.progress[i].state == .snapshot(retryIn: nil) else { return }
            if let index {
                leader.progress[i].probe(from: index.next)
            } else {
                leader.progress[i].waitForSnapshot(retryIn: settings.electionTicks)
            }
        }
    }

    /// What follows must stay in the log for members that have just installed a snapshot; nil: for none.
    package var neededBehind: LogIndex? {
        guard case .leader(let leader) = roleState else { return nil }
        return leader.progress.compactMap { $0.neededBehind(settings) }.min()
    }

    /// Through here no other member lacks anything, as far as this leader knows; nil: it does not lead, or is alone.
    package var matchedByAll: LogIndex? {
        guard case .leader(let leader) = roleState else { return nil }
        return leader.progress.map(\.matchIndex).min()
    }

    /// From here on all entries are in memory, and so take no more than a bound.
    package var firstCachedIndex: LogIndex { log.firstCachedIndex }

    // MARK: On every node

    /// Why a snapshot of this mark must not be taken from a peer; nil when it may. Asked when it is
    /// offered, so that no stream is taken for nothing, and again before it is installed. Whether
    /// it is needed is another question.
    package func breach(of mark: SnapshotMark) -> DropReason? {
        guard mark.isWellFormed else { return .malformed }
        let (index, markTerm) = (mark.position.index, mark.position.term)
        guard index.distance(from: log.lastIndex) <= Reach.indexes else { return .indexTooFar }
        if index > commitIndex {
            // Terms don't go back along a log.
            if let committed = log.term(at: commitIndex), committed > markTerm {
                return .contradictsCommitted
            }
        } else if let own = log.term(at: index), own != markTerm {
            return .contradictsCommitted
        }
        return termBreach(markTerm, isFromLeader: true)
    }

    /// A received snapshot is durable and the state machine stands at it: the log begins after it.
    package mutating func snapshotInstalled(_ mark: SnapshotMark) {
        let index = mark.position.index
        guard index > commitIndex || breaks(.acceptsStaleSnapshots) else {
            // It brings nothing new; what it covers was committed, so the log holds the same.
            pending.committed.removeAll { $0.index <= index }
            applied(through: index)
            writes.coveredBySnapshot(through: index)
            compacted(through: mark.position)
            return
        }
        let formerIndex = membershipIndex
        let keepsSuffix =
            log.term(at: index) == mark.position.term && !breaks(.acceptsStaleSnapshots)
        if mark.position.term > term || (role == .leader && !keepsSuffix) {
            // What it covers was committed by a leader this node has not heard of yet.
            if mark.position.term > term, mark.position.term.epoch == term.epoch {
                termAllowance.spend(mark.position.term.rawValue - term.rawValue)
            }
            becomeFollower(
                term: max(term, mark.position.term), leader: nil, because: .higherTerm)
        }
        if keepsSuffix {
            pending.persist?.entries.removeAll { $0.index <= index }
        } else {
            if log.lastIndex > commitIndex {
                pending.observations.append(.entriesDiscarded(from: commitIndex.next))
            }
            _ = memberships.truncate(from: commitIndex.next)
            pending.persist?.entries = []
            writes.discard(from: index.next)
            retractAnswers()
            log.reset(to: mark.position)
        }
        pending.committed.removeAll { $0.index <= index }
        writes.coveredBySnapshot(through: index)
        memberships.install(mark)
        commitIndex = index
        appliedIndex = index
        if keepsSuffix { log.compact(through: mark.position) }
        if membershipIndex != formerIndex {
            membershipChanged()
            pending.observations.append(
                .membershipCommitted(mark.membership, index: mark.membershipIndex))
        }
    }

    /// The log on disk was compacted through `base`.
    package mutating func compacted(through base: LogPosition) {
        precondition(
            base.index <= appliedIndex && base.index <= writes.durableIndex,
            "compaction at \(base), applied \(appliedIndex), durable \(writes.durableIndex)")
        log.compact(through: base)
    }
}
