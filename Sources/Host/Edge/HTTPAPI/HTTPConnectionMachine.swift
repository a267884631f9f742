/// One client connection as a value: it takes what happens on the connection and says what is to
/// be done, in order. It knows no socket, clock or thread, and no content: answers are whatever
/// `Answer` is, and bodies are numbers of bytes.
///
/// A request goes through these steps:
///
/// 1. Its head comes with a plan: an answer that is known already, or work to do. Nothing is
///    answered before the body has been taken, so that the connection stays usable; only a body
///    over its limit, or one the client waits to be asked for, ends it.
/// 2. At its end it takes the next place in the queue of exchanges, and its work begins.
/// 3. Its answer is put into its place. Answers leave in the order of the requests, whatever the
///    order they come in: whole, or in slices that are asked for one by one while the client takes
///    them.
///
/// Times are distances from any fixed moment. Not thread-safe: a value of one event loop.
struct HTTPConnectionMachine<Answer> {
    private struct Exchange {
        let framing: ResponseFraming
        var bodySize: Int
        var content = Content.awaited
    }

    private enum Content {
        case awaited
        case whole(Answer)
        case slices(Answer)
        case refusal(HTTPRefusal)
    }

    private struct Incoming {
        var head: Head
        var bodySize = 0
        /// Bytes of a body in parts that have come and were not taken yet.
        var untaken = 0
        /// The body has come, but was not taken to its end.
        var isComplete = false

        var hasRoom: Bool { !isComplete && untaken < head.bodyWindow ?? .max }
    }

    /// An answer that goes out in slices.
    private struct Slicing {
        let id: ExchangeID
        let framing: ResponseFraming
        var isAsked = false
        /// What the next slice is to be made of has not come yet.
        var isStarved = false
    }

    private enum Intake {
        case idle
        case receiving(Incoming)
        /// The last request has come; the connection closes when it is answered.
        case ended
    }

    private enum Outflow {
        case between
        /// Slices of the answer to the request before the first of `exchanges`.
        case slicing(Slicing)
        /// The last answer is on its way.
        case finished
        case closed
    }

    private let limits: HTTPPaceLimits
    private let pipelinedRequests: Int
    private let bodiesInFlight: Int
    private var intake = Intake.idle
    private var outflow = Outflow.between
    private var exchanges: [Exchange] = []
    /// Exchanges before this place are over; they are dropped together.
    private var front = 0
    private var firstNumber = 0
    /// Answers that are known and have not their turn.
    private(set) var keptAnswers = 0
    private var owesContinue = false
    /// A request is worked on elsewhere; those after it wait, so that a connection's requests reach
    /// the node in their order.
    private var isWorkAway = false
    /// What `.work` named last.
    private var begun: ExchangeID?
    /// A large request that has reached the node. It may go to another node in parts, which others
    /// overtake; so those after it wait for its answer.
    private var unanswered: ExchangeID?
    private var held: [ExchangeID] = []
    /// `.work` was said, and what became of it was not heard yet.
    private var isBeginning = false
    /// Since `goOn` was called last, or asked for.
    private var begunInTurn = 0
    private var isPausing = false
    /// Bytes of bodies whose requests are not answered.
    private var bodyBytes = 0
    private var isWritable = true
    private var watch: HTTPPaceWatch
    private(set) var effects: [Effect] = []
    /// The server is about to stop: clients with nothing under way are sent away.
    var isDraining = false

    init(_ limits: HTTPLimits, now: Duration) {
        self.limits = limits.pace
        pipelinedRequests = limits.pipelinedRequests
        bodiesInFlight = limits.connectionBodyBytes
        watch = HTTPPaceWatch(now: now)
    }

    /// The effects since they were last taken.
    mutating func takeEffects() -> [Effect] {
        guard !effects.isEmpty else { return [] }
        defer { effects = [] }
        return effects
    }

    // MARK: What the client sends

    /// False for a head that comes after the last request.
    mutating func headReceived(_ head: Head, at now: Duration) -> Bool {
        guard case .idle = intake else { return false }
        watch.headReceived(at: now)
        intake = .receiving(Incoming(head: head))
        if let length = head.announcedBody, length > head.bodyLimit {
            refuseBody(head)
        } else if head.expectsContinue {
            if case .answer(let answer) = head.plan {
                end(with: .whole(answer))
            } else {
                owesContinue = true
                writeContinueIfDue()
            }
        }
        return true
    }

    /// - Returns: whether these bytes are of use. Of a body in parts, `bodyTaken` must follow.
    mutating func bodyReceived(_ count: Int) -> Bool {
        guard case .receiving(var incoming) = intake else { return false }
        owesContinue = false
        incoming.bodySize += count
        guard incoming.bodySize <= incoming.head.bodyLimit else {
            intake = .receiving(incoming)
            refuseBody(incoming.head)
            return false
        }
        guard case .work = incoming.head.plan else {
            intake = .receiving(incoming)
            return false
        }
        if incoming.head.bodyWindow != nil { incoming.untaken += count }
        intake = .receiving(incoming)
        return true
    }

    /// So many bytes of the body in parts that is being received were taken.
    mutating func bodyTaken(_ count: Int, at now: Duration) {
        guard case .receiving(var incoming) = intake else { return }
        incoming.untaken = max(0, incoming.untaken - count)
        intake = .receiving(incoming)
        if incoming.isComplete { finish(incoming, at: now) }
    }

    /// A body in parts has come to its end, and not all of it was taken: the request begins, and
    /// others can be received, when it is.
    var isCompleting: Bool {
        if case .receiving(let incoming) = intake { incoming.isComplete } else { false }
    }

    mutating func endReceived(at now: Duration) {
        guard case .receiving(var incoming) = intake else { return }
        owesContinue = false
        incoming.isComplete = true
        intake = .receiving(incoming)
        finish(incoming, at: now)
    }

    private mutating func finish(_ incoming: Incoming, at now: Duration) {
        guard incoming.untaken == 0 else { return }
        watch.requestEnded(at: now)
        intake = incoming.head.framing.keepAlive ? .idle : .ended
        switch incoming.head.plan {
        case .answer(let answer):
            append(Exchange(framing: incoming.head.framing, bodySize: 0, content: .whole(answer)))
            advance()
        case .work:
            // What was taken is not held here.
            let size = incoming.head.bodyWindow == nil ? incoming.bodySize : 0
            bodyBytes += size
            append(Exchange(framing: incoming.head.framing, bodySize: size))
            let id = ExchangeID(number: firstNumber + exchanges.count - 1)
            held.append(id)
            beginNext()
        }
    }

    /// What `.work` began last is large, and done elsewhere: nothing else begins before `workReturned`,
    /// nor before it is answered.
    mutating func workWentAway() {
        isBeginning = false
        isWorkAway = true
    }

    mutating func workReturned() {
        isWorkAway = false
        if let begun, isAwaited(begun) { unanswered = begun }
        beginNext()
    }

    /// What `.work` began last is under way: the next may begin.
    mutating func workBegan() {
        isBeginning = false
        beginNext()
    }

    /// `.goOnLater` asked for it.
    mutating func goOn() {
        isPausing = false
        begunInTurn = 0
        beginNext()
    }

    /// What one read brings in may be thousands of requests, with answers of gigabytes: so nothing begins
    /// for a client that takes no answers, nor more than may be unanswered at a time, and other connections
    /// get their turns.
    private mutating func beginNext() {
        guard !isBeginning, !isWorkAway, unanswered == nil, isWritable, !isPausing,
            let next = held.first, next.number - firstNumber - front < pipelinedRequests
        else { return }
        if begunInTurn == Self.mostBegunInTurn {
            isPausing = true
            return effects.append(.goOnLater)
        }
        begunInTurn += 1
        held.removeFirst()
        isBeginning = true
        begun = next
        effects.append(.work(next))
    }

    /// Requests of one connection that begin in one turn of its event loop.
    private static var mostBegunInTurn: Int { 64 }

    private func isAwaited(_ id: ExchangeID) -> Bool {
        let place = id.number - firstNumber
        guard exchanges.indices.contains(place), place >= front else { return false }
        if case .awaited = exchanges[place].content { return true }
        return false
    }

    /// Its answer does not wait for an earlier one.
    func hasTurn(_ id: ExchangeID) -> Bool {
        if case .between = outflow { id.number - firstNumber == front } else { false }
    }

    /// The request that is being received gets no further; after its refusal the connection ends.
    mutating func refuse(_ refusal: HTTPRefusal) {
        if case .ended = intake { return }
        end(with: .refusal(refusal))
    }

    private mutating func refuseBody(_ head: Head) {
        if case .answer(let answer) = head.plan {
            end(with: .whole(answer))
        } else {
            end(with: .refusal(.bodyTooLarge(limit: head.bodyLimit)))
        }
    }

    /// Answers in the middle of a request, which can only be the connection's last.
    private mutating func end(with content: Content) {
        var framing = ResponseFraming()
        if case .receiving(let incoming) = intake { framing = incoming.head.framing }
        framing.keepAlive = false
        framing.lingers = true
        owesContinue = false
        intake = .ended
        append(Exchange(framing: framing, bodySize: 0, content: content))
        advance()
    }

    // MARK: Answers

    mutating func answered(_ id: ExchangeID, _ answer: Answer) {
        put(.whole(answer), id)
    }

    /// The answer's body comes in slices.
    mutating func answeredInSlices(_ id: ExchangeID, _ answer: Answer) {
        put(.slices(answer), id)
    }

    private mutating func put(_ content: Content, _ id: ExchangeID) {
        guard isAwaited(id) else { return }
        exchanges[id.number - firstNumber].content = content
        keptAnswers += 1
        if unanswered == id { unanswered = nil }
        advance()
    }

    /// The slice that was asked for is written.
    mutating func sliced(_ result: HTTPSlice) {
        guard case .slicing(var slicing) = outflow, slicing.isAsked else { return }
        slicing.isAsked = false
        switch result {
        case .more:
            outflow = .slicing(slicing)
            askForSlice()
        case .starved:
            slicing.isStarved = true
            outflow = .slicing(slicing)
        case .last:
            outflow = .between
            finishIfLast(slicing.framing)
            advance()
        case .failed:
            closed()
            effects.append(.close(.answerFailed))
        }
    }

    /// More has come of what the slices are made of.
    mutating func sliceReady() {
        guard case .slicing(var slicing) = outflow, slicing.isStarved else { return }
        slicing.isStarved = false
        outflow = .slicing(slicing)
        askForSlice()
    }

    private mutating func append(_ exchange: Exchange) {
        if case .awaited = exchange.content {} else { keptAnswers += 1 }
        exchanges.append(exchange)
    }

    /// Writes what has its turn.
    private mutating func advance() {
        while case .between = outflow, front < exchanges.count {
            let exchange = exchanges[front]
            if case .awaited = exchange.content { break }
            // Its memory is not kept until those behind it are answered, too.
            exchanges[front].content = .awaited
            front += 1
            keptAnswers -= 1
            bodyBytes -= exchange.bodySize
            var framing = exchange.framing
            if mustSendAway { framing.keepAlive = false }
            switch exchange.content {
            case .awaited: break
            case .whole(let answer): effects.append(.write(answer, framing))
            case .refusal(let refusal): effects.append(.refuse(refusal, framing))
            case .slices(let answer):
                framing.omitLength()
                effects.append(.begin(answer, framing))
                let id = ExchangeID(number: firstNumber + front - 1)
                if framing.omitsBody {
                    effects.append(.cancel([id]))
                    break
                }
                outflow = .slicing(Slicing(id: id, framing: framing))
                askForSlice()
                continue
            }
            finishIfLast(framing)
        }
        dropFinished()
        writeContinueIfDue()
        // It may have waited for a place.
        beginNext()
    }

    private mutating func dropFinished() {
        guard front > 0, front == exchanges.count || front >= 64 else { return }
        exchanges.removeFirst(front)
        firstNumber += front
        front = 0
    }

    private mutating func finishIfLast(_ framing: ResponseFraming) {
        guard !framing.keepAlive else { return }
        intake = .ended
        outflow = .finished
        cancelWaiting()
        effects.append(.closeWhenWritten(lingers: framing.lingers))
    }

    private mutating func askForSlice() {
        guard isWritable, case .slicing(var slicing) = outflow, !slicing.isAsked,
            !slicing.isStarved
        else { return }
        slicing.isAsked = true
        outflow = .slicing(slicing)
        effects.append(.slice)
    }

    /// The client has nothing else under way: its next request shall go to another node.
    private var mustSendAway: Bool {
        if case .idle = intake { isDraining && front == exchanges.count } else { false }
    }

    /// The interim answer must not overtake those to earlier requests.
    private mutating func writeContinueIfDue() {
        guard owesContinue, !isAnswering else { return }
        owesContinue = false
        effects.append(.writeContinue)
    }

    // MARK: Flow and life

    mutating func writabilityChanged(_ isWritable: Bool) {
        self.isWritable = isWritable
        askForSlice()
        beginNext()
    }

    /// An answer is owed or under way.
    var isAnswering: Bool {
        if case .slicing = outflow { return true }
        return front < exchanges.count
    }

    /// No request is being received, and no answer is owed or under way.
    var isIdle: Bool {
        if case .receiving = intake { false } else { !isAnswering }
    }

    var isClosing: Bool {
        switch outflow {
        case .finished, .closed: true
        case .between, .slicing: false
        }
    }

    /// Whether more shall be read. A client that sends faster than it takes answers waits, and so
    /// does one whose bodies fill what a connection may have in flight, or whose body in parts is
    /// not taken as fast as it comes.
    var wantsInput: Bool {
        guard isWritable, exchanges.count - front < pipelinedRequests else { return false }
        if case .receiving(let incoming) = intake { return incoming.hasRoom }
        return bodyBytes < bodiesInFlight
    }

    /// Not so where a body in parts is not taken as fast as it comes: nothing else bounds what it holds.
    var hasRoomForBody: Bool {
        if case .receiving(let incoming) = intake { incoming.hasRoom } else { true }
    }

    /// Time passes. To be called a few times within the shortest of the limits.
    mutating func tick(_ traffic: HTTPTraffic, at now: Duration) {
        if case .closed = outflow { return }
        let phase: HTTPPaceWatch.Phase
        if traffic.unsent > 0 {
            phase = .taking
        } else if case .receiving = intake {
            // While nothing is read, the client owes nothing.
            phase = wantsInput && !owesContinue ? .sendingBody : .waiting
        } else if isAnswering {
            phase = .waiting
        } else {
            phase = traffic.isMidHead ? .sendingHead : .idle
        }
        guard let end = watch.judge(phase, traffic, limits, at: now) else { return }
        if end == .bodyTooSlow {
            refuse(.bodyTooSlow)
        } else {
            closed()
            effects.append(.close(end))
        }
    }

    /// The connection is gone.
    mutating func closed() {
        var ids: [ExchangeID] = []
        if case .slicing(let slicing) = outflow { ids = [slicing.id] }
        outflow = .closed
        intake = .ended
        cancelWaiting(after: ids)
    }

    /// What is still being made is not wanted any more.
    private mutating func cancelWaiting(after first: [ExchangeID] = []) {
        let waiting = exchanges.indices[front...].filter {
            switch exchanges[$0].content {
            case .awaited, .slices: true
            case .whole, .refusal: false
            }
        }
        let ids = first + waiting.map { ExchangeID(number: firstNumber + $0) }
        if !ids.isEmpty { effects.append(.cancel(ids)) }
        firstNumber += exchanges.count
        exchanges = []
        front = 0
        keptAnswers = 0
        bodyBytes = 0
        held = []
        isBeginning = false
        unanswered = nil
    }
}
