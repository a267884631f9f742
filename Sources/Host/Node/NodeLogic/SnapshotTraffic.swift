import PeerProtocol
import Raft
import Replication
import Time

/// Snapshots under way, at most one out and one in, and the order in which they wait, are taken,
/// installed, and given up.
///
/// The database file is held while one is sent, so that SQLite's log and the Raft log can't shrink:
/// a transfer has a time by which it must be over, and ends at once when this node stops leading. A
/// snapshot that comes in is the leader's: the transfer of a leader that was deposed ends before
/// another one begins.
struct SnapshotTraffic {
    enum Decision {
        case open(SnapshotSendID)
        case close(SnapshotSendID)
        case send(SnapshotSendID, SnapshotOffer, to: NodeID)
        case cancel(SnapshotSendID)
        /// The consensus core learns what became of it.
        case sent(to: NodeID, through: LogIndex?)
        case answerOffer(SnapshotReceiptID, refusal: String?)
        case stopReceiving(SnapshotReceiptID, cause: String)
        case received(SnapshotMark, SnapshotToken)
        case prepare(SnapshotReceiptID, SnapshotMark)
        case discard(SnapshotReceiptID)
        case done(SnapshotReceiptID, problem: String?)
        case say(NodeNote)
    }

    private struct Outgoing {
        var id: SnapshotSendID
        var peer: NodeID
        /// How long it may take, and when that is over.
        var time: Duration
        var deadline: MonotonicTime
        /// The database is held for it.
        var isOpen = false
        var isSending = false
        var index = LogIndex.zero
    }

    private struct Incoming {
        var id: SnapshotReceiptID
        var offer: SnapshotOffer
        /// It lies complete on this node's disk, under this name.
        var token: SnapshotToken?
    }

    private let identity: NodeIdentity
    /// What every transfer may take from the moment the database is held for it, beside the time for its size.
    private let sendTime: Duration
    private let rules: RuleBook
    private var outgoing: Outgoing?
    private var waiting: [NodeID] = []
    private var incoming: Incoming?
    private var lastID: UInt64 = 0
    private var decisions: [Decision] = []

    init(_ options: NodeOptions) {
        identity = options.identity
        sendTime = options.snapshotSendTime
        rules = options.raft.rules
    }

    mutating func takeDecisions() -> [Decision] {
        guard !decisions.isEmpty else { return [] }
        defer { decisions = [] }
        return decisions
    }

    /// One comes in, or is being put in place.
    var isReceiving: Bool { incoming != nil }

    /// Who is being sent one.
    var receiver: NodeID? { outgoing?.peer }

    private mutating func newID() -> UInt64 {
        lastID += 1
        return lastID
    }

    private mutating func say(
        _ level: NodeNote.Level, _ text: String, _ details: KeyValuePairs<String, String>
    ) {
        decisions.append(.say(NodeNote(level, text, details)))
    }

    // MARK: Out

    /// A follower is too far behind for the log.
    mutating func wanted(by peer: NodeID, now: MonotonicTime) {
        guard outgoing == nil || rules.breaks(.sendsOverTransfers) else {
            if outgoing?.peer != peer, !waiting.contains(peer) { waiting.append(peer) }
            return
        }
        let id = SnapshotSendID(newID())
        outgoing = Outgoing(id: id, peer: peer, time: sendTime, deadline: now + sendTime)
        say(.info, "follower needs a snapshot", ["node.id": "\(peer)"])
        decisions.append(.open(id))
    }

    mutating func opened(
        _ id: SnapshotSendID, _ result: Result<OpenedSnapshot, DatabaseReport.Failure>,
        cluster: ClusterID?, term: Term, now: MonotonicTime
    ) {
        guard outgoing?.id == id, var sending = outgoing, let cluster else {
            // It was given up meanwhile.
            if case .success = result { decisions.append(.close(id)) }
            return
        }
        switch result {
        case .failure(let failure):
            say(.warning, "no snapshot to send", ["cause": failure.description])
            ended(through: nil, now)
        case .success(let opened):
            sending.isOpen = true
            sending.isSending = true
            sending.time = sendTime + MachineSettings.snapshotTime(for: opened.byteCount)
            sending.deadline = now + sending.time
            sending.index = opened.mark.position.index
            outgoing = sending
            let offer = SnapshotOffer(
                cluster: cluster,
                id: SnapshotID(
                    sender: identity.id, generation: opened.generation.rawValue,
                    index: opened.mark.position.index),
                mark: opened.mark, byteCount: opened.byteCount, term: term)
            decisions.append(.send(id, offer, to: sending.peer))
        }
    }

    /// The receiver installed it, or why it did not.
    mutating func sent(
        _ id: SnapshotSendID, _ result: Result<Void, PeerFailure>, now: MonotonicTime
    ) {
        guard let sending = outgoing, sending.id == id else { return }
        switch result {
        case .success:
            say(
                .info, "snapshot sent",
                ["node.id": "\(sending.peer)", "raft.index": "\(sending.index)"])
            ended(through: sending.index, now)
        case .failure(let failure):
            say(
                .warning, "snapshot not sent",
                ["node.id": "\(sending.peer)", "cause": "\(failure)"])
            ended(through: nil, now)
        }
    }

    private mutating func ended(through index: LogIndex?, _ now: MonotonicTime) {
        guard let sending = outgoing else { return }
        outgoing = nil
        if sending.isOpen { decisions.append(.close(sending.id)) }
        decisions.append(.sent(to: sending.peer, through: index))
        if !waiting.isEmpty { wanted(by: waiting.removeFirst(), now: now) }
    }

    /// Gives up what is being sent, and why.
    private mutating func giveUp(_ cause: String, _ now: MonotonicTime) {
        guard let sending = outgoing else { return }
        if sending.isSending { decisions.append(.cancel(sending.id)) }
        say(.warning, "snapshot not sent", ["node.id": "\(sending.peer)", "cause": cause])
        ended(through: nil, now)
    }

    /// SQLite's log has outgrown its bound for the sake of this snapshot.
    mutating func holdOutgrown(_ id: SnapshotSendID, now: MonotonicTime) {
        guard outgoing?.id == id else { return }
        giveUp("what was written meanwhile has outgrown its bound", now)
    }

    /// This node's log has no room. It can't get shorter while the database is held, and of a node that leads on, for
    /// nobody else can, the transfer may be hours from its end.
    /// - Returns: whether one was given up.
    mutating func logFull(now: MonotonicTime) -> Bool {
        guard outgoing?.isOpen ?? false else { return false }
        giveUp("this node's log has no room, and gets no shorter meanwhile", now)
        return true
    }

    /// Who is no member any more gets none, and others that need one wait for nobody but members.
    mutating func forgotten(_ peer: NodeID, now: MonotonicTime) {
        waiting.removeAll { $0 == peer }
        if outgoing?.peer == peer { giveUp("it is no member any more", now) }
    }

    /// A node that does not lead sends none: its successor does.
    mutating func stoppedLeading(now: MonotonicTime) {
        waiting = []
        giveUp("this node does not lead any more", now)
    }

    mutating func tick(now: MonotonicTime) {
        guard let sending = outgoing, sending.deadline <= now else { return }
        giveUp("it took longer than \(sending.time)", now)
    }

    // MARK: In

    /// - Parameters:
    ///   - cluster: this node's; nil if it is in none.
    ///   - leader: as this node knows it.
    ///   - term: the present one: who led in an earlier one is no leader.
    ///   - breach: what no honest peer can offer.
    mutating func offered(
        _ id: SnapshotReceiptID, _ offer: SnapshotOffer, cluster: ClusterID?, leader: NodeID?,
        term: Term, breach: DropReason?
    ) {
        if let breach { return refuse(id, "no leader offers this: \(breach.rawValue)") }
        guard cluster == offer.cluster else {
            return refuse(id, "this node is not in cluster \(offer.cluster)")
        }
        if let leader, leader != offer.id.sender {
            return refuse(id, "node \(leader) leads, not \(offer.id.sender)")
        }
        if let theirs = offer.term, theirs < term {
            return refuse(id, "term \(theirs) has passed, this node is in term \(term)")
        }
        if let present = incoming, !rules.breaks(.installsOverTransfers) {
            guard present.token == nil else {
                return refuse(id, "another snapshot is being installed")
            }
            if let older = offer.term, let newer = present.offer.term, older < newer {
                return refuse(id, "a snapshot of the leader of term \(newer) is on its way")
            }
            decisions.append(
                .stopReceiving(present.id, cause: "node \(offer.id.sender) sends another one"))
        }
        incoming = Incoming(id: id, offer: offer)
        decisions.append(.answerOffer(id, refusal: nil))
    }

    private mutating func refuse(_ id: SnapshotReceiptID, _ text: String) {
        decisions.append(.answerOffer(id, refusal: text))
    }

    /// What a former leader still sends is not wanted any more.
    mutating func leaderChanged(_ leader: NodeID?) {
        guard let leader, let present = incoming, present.token == nil,
            present.offer.id.sender != leader, !rules.breaks(.installsOverTransfers)
        else { return }
        incoming = nil
        decisions.append(.stopReceiving(present.id, cause: "node \(leader) leads now"))
    }

    /// The snapshot lies complete on disk.
    /// - Parameter obstacle: why it can't be put in place; nil: it can.
    mutating func received(_ id: SnapshotReceiptID, cluster: ClusterID?, obstacle: String?) {
        guard let present = incoming, present.id == id, present.token == nil else {
            decisions.append(.discard(id))
            decisions.append(.done(id, problem: "it is not wanted any more"))
            return
        }
        let problem =
            present.offer.cluster == cluster
            ? obstacle : "this node is not in cluster \(present.offer.cluster)"
        if let problem {
            incoming = nil
            decisions.append(.discard(id))
            decisions.append(.done(id, problem: problem))
            return
        }
        let token = SnapshotToken(newID())
        incoming?.token = token
        decisions.append(.received(present.offer.mark, token))
    }

    mutating func failed(_ id: SnapshotReceiptID, cause: String) {
        guard let present = incoming, present.id == id, present.token == nil else { return }
        incoming = nil
        say(
            .warning, "snapshot did not arrive whole",
            ["from": "\(present.offer.id.sender)", "cause": cause])
    }

    /// It is not put in place.
    /// - Parameter problem: why not; nil: the log holds all of it already.
    mutating func discard(_ token: SnapshotToken, problem: String?) {
        guard let present = incoming, present.token == token else { return }
        incoming = nil
        decisions.append(.discard(present.id))
        decisions.append(.done(present.id, problem: problem))
    }

    mutating func install(_ mark: SnapshotMark, _ token: SnapshotToken) {
        guard let present = incoming, present.token == token else { return }
        say(.info, "installing snapshot", ["raft.index": "\(mark.position.index)"])
        decisions.append(.prepare(present.id, mark))
    }

    /// It proved unusable, before log or database changed.
    mutating func unusable(_ failure: DatabaseReport.Failure) {
        say(.error, "received snapshot is unusable", ["cause": failure.description])
        finish(problem: failure.description)
    }

    mutating func installed(_ mark: SnapshotMark) {
        say(.info, "snapshot installed", ["raft.index": "\(mark.position.index)"])
        finish(problem: nil)
    }

    private mutating func finish(problem: String?) {
        guard let present = incoming else { return }
        incoming = nil
        decisions.append(.done(present.id, problem: problem))
    }
}
