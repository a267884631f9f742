import Chance
import NodeLogic
import PeerProtocol
import Raft
import Replication
import Service

/// What goes from node to node: messages, questions and requests that are sent on. All of it goes to
/// an address, and reaches whoever listens there when it arrives.
extension Simulation {
    /// The node that listens at the address, or will when it starts again.
    func owner(of address: PeerAddress) -> SimulatedNode? {
        nodes.first { $0.address == address && $0.isUp } ?? nodes.first { $0.address == address }
    }

    func slot(of id: NodeID) -> Int? {
        nodes.firstIndex { $0.id == id && !retired.contains($0.slot) }
    }

    /// Delays after which copies of something arrive at the address: none if it is lost.
    func delays(
        from node: SimulatedNode, to address: PeerAddress, _ lane: SimulatedNetwork.Lane,
        size: Int = 64
    ) -> [Int] {
        guard let owner = owner(of: address) else { return [] }
        return network.delays(
            from: node.slot, to: owner.slot, lane, size: size, at: now, random: &random,
            faults: &faults)
    }

    /// A delay for what is sent on a connection, which neither doubles nor loses: nil if it is cut.
    func delay(
        from sender: Int, to receiver: Int, size: Int = 64
    ) -> Int? {
        guard !network.isCut(from: sender, to: receiver) else { return nil }
        return network.delays(
            from: sender, to: receiver, .calls, size: size, at: now, random: &random,
            faults: &faults
        ).first ?? random.within(200...1000)
    }

    /// A second process of an identity is found out by who can be asked: what is lost on the way, or comes too
    /// late, would be no connection at all. Nil if it is cut.
    private func promptDelay(from sender: Int, to receiver: Int) -> Int? {
        network.isCut(from: sender, to: receiver) ? nil : random.within(1...60)
    }

    // MARK: Messages

    func send(_ message: Message, to address: PeerAddress, from node: SimulatedNode) {
        if let breach = conduct.sent(message, slot: node.slot, at: now) { invariants.broke(breach) }
        invariants.sent(message, slot: node.slot)
        let size = 64 + message.entryBytes
        let lane: SimulatedNetwork.Lane = size > SimulatedNetwork.bulkBytes ? .bulk : .control
        if size > 2000 { faults.largeMessages += 1 }
        tell("\(node.id) → \(message.to) at \(address): \(message.summary), \(size) bytes")
        for delay in delays(from: node, to: address, lane, size: size) {
            schedule(.arrive(message, at: address, from: node.slot, run: node.run), in: delay)
        }
        guard !isCalm else { return }
        if random.chance(1, of: 1000) {
            // A node of another cluster speaks to this one.
            faults.messagesForeign += 1
            var foreign = message
            foreign.cluster = ClusterID(RandomID(high: 0, low: 0))
            foreign.term = Term(message.term.rawValue + 1000)
            schedule(
                .arrive(foreign, at: address, from: node.slot, run: node.run),
                in: random.below(50))
        }
        if random.chance(1, of: 500) {
            // A broken member says what no member can.
            faults.messagesSpoilt += 1
            schedule(
                .arrive(spoilt(message), at: address, from: node.slot, run: node.run),
                in: random.below(50))
        }
    }

    func arrive(_ message: Message, at address: PeerAddress, from sender: Int, run: Int) {
        let caller = nodes[sender]
        guard let node = owner(of: address), node.isUp, node.id == message.to,
            !node.refused.contains(where: {
                $0.until > now && $0.identity == caller.identity && $0.address == caller.address
            })
        else {
            if let node = owner(of: address), node.isUp { faults.misroutedMessages += 1 }
            // The connection is refused, by nobody or by another than was meant.
            if random.chance(1, of: 4) {
                schedule(
                    .unreachable(slot: sender, run: run, message.to), in: random.within(1...20))
            }
            return
        }
        let event = Event.arrive(message, at: address, from: sender, run: run)
        guard !isPostponed(node.slot, event) else { return }
        meet(nodes[sender], run, at: node)
        tell("\(message.to) ← \(message.from): \(message.summary)")
        conduct.arrived(message, slot: node.slot)
        node.post(.messages([claimed(message)]))
        settle(node.slot)
    }

    /// Who opens a connection says who it is and where it listens.
    private func meet(_ caller: SimulatedNode, _ run: Int, at node: SimulatedNode) {
        guard caller.run == run, node.book[caller.id] != caller.address else { return }
        node.book[caller.id] = caller.address
        node.post(.spoke(caller.identity, at: caller.address))
    }

    /// The message as a receiver that breaks a rule understands it.
    private func claimed(_ message: Message) -> Message {
        var message = message
        if settings.mutation == .votesForStaleLogs, case .voteRequest(var request) = message.body {
            request.lastLog.term = message.term
            message.body = .voteRequest(request)
        }
        return message
    }

    /// The message with a number past all that there can be.
    private func spoilt(_ message: Message) -> Message {
        var message = message
        let last = random.chance(1, of: 2) ? UInt64.max : .max - random.next() >> 2
        switch message.body {
        case .appendEntries(var append) where random.chance(1, of: 2):
            let entry = Entry(index: LogIndex(last), term: message.term, payload: .noop)
            switch random.below(3) {
            case 0: append.previous.index = entry.index
            case 1: append.commitIndex = entry.index
            default: append.entries.append(entry)
            }
            message.body = .appendEntries(append)
        case .appendAnswer(var answer) where random.chance(1, of: 2):
            answer.result = .matched(through: LogIndex(last))
            message.body = .appendAnswer(answer)
        case .voteRequest(var request) where random.chance(1, of: 2):
            request.lastLog.index = LogIndex(last)
            message.body = .voteRequest(request)
        default: message.term = Term(last)
        }
        return message
    }

    // MARK: Questions

    func call(
        _ id: PeerCallID, _ request: PeerRequest, at address: PeerAddress,
        of wanted: NodeIdentity?, _ timeout: Int, from node: SimulatedNode
    ) {
        lastCall += 1
        let number = lastCall
        calls[number] = Call(
            caller: node.slot, run: node.run, id: id, request: request, address: address,
            wanted: wanted)
        faults.calls += 1
        let late = PeerFailure(cause: "no answer in time", isTimeout: true)
        schedule(.call(number, .fails(late)), in: max(1, timeout))
        // What asks twice is harmless, but each call is asked once.
        let delay =
            doubled == node.slot
            ? owner(of: address).flatMap { promptDelay(from: node.slot, to: $0.slot) }
            : delays(from: node, to: address, .calls).first
        if let delay { schedule(.call(number, .arrives), in: delay) }
    }

    func step(call number: Int, _ step: CallStep) {
        guard let call = calls[number] else { return }
        switch step {
        case .arrives: arrive(number, call)
        case .answered(let answer):
            guard isPresent(call.caller, call.run, or: .call(number, step)) else { return }
            calls[number] = nil
            nodes[call.caller].post(.answered(call.id, .success(spoilt(answer))))
            settle(call.caller)
        case .fails(let failure):
            guard nodes[call.caller].run == call.run else {
                calls[number] = nil
                return
            }
            guard isPresent(call.caller, call.run, or: .call(number, step)) else { return }
            calls[number] = nil
            nodes[call.caller].post(.answered(call.id, .failure(failure)))
            settle(call.caller)
        }
    }

    private func arrive(_ number: Int, _ call: Call) {
        let caller = nodes[call.caller]
        guard let node = owner(of: call.address), node.isUp else {
            schedule(
                .call(number, .fails(PeerFailure(cause: "connection refused"))),
                in: random.within(1...20))
            return
        }
        guard !isPostponed(node.slot, .call(number, .arrives)) else { return }
        if let wanted = call.wanted, wanted != node.identity {
            let refusal = PeerFailure(cause: "another node is here")
            return schedule(.call(number, .fails(refusal)), in: random.within(1...20))
        }
        meet(caller, call.run, at: node)
        if !isCalm, random.chance(1, of: 60) { attack(node) }
        let question = PeerQuestionID(UInt64(number))
        if case .hello = call.request, var hello = node.machine?.hello(for: caller.identity) {
            if settings.mutation == .toleratesCopies, caller.identity == node.identity {
                hello.run = caller.machine?.hello.run
            }
            answerPeer(question, .hello(hello), from: node)
            if hello.cluster == nil { node.post(.helloHeard(caller.identity)) }
        } else {
            let from = PeerCaller(identity: caller.identity, remoteAddress: "")
            node.post(.peerAsked(question, call.request, from))
        }
        settle(node.slot)
    }

    func answerPeer(_ question: PeerQuestionID, _ answer: PeerAnswer, from node: SimulatedNode) {
        guard let call = calls[Int(question.rawValue)] else { return }
        if case .joined = answer { faults.joins += 1 }
        if case .joinRefused = answer { faults.joinsRefused += 1 }
        let delay =
            doubled == call.caller
            ? promptDelay(from: node.slot, to: call.caller)
            : delay(from: node.slot, to: call.caller)
        guard let delay else { return }
        schedule(.call(Int(question.rawValue), .answered(answer)), in: delay)
    }

    // MARK: Requests that are sent on

    func forward(
        _ requests: [ForwardedRequest], to address: PeerAddress, from node: SimulatedNode
    ) {
        faults.forwarded += requests.count
        guard let owner = owner(of: address), owner.isUp,
            let delay = delay(from: node.slot, to: owner.slot)
        else {
            let keys = requests.map(\.key)
            schedule(
                .forwardRefused(slot: node.slot, run: node.run, keys), in: random.within(1...100))
            return
        }
        let event = Event.forward(from: node.slot, run: node.run, requests, to: address)
        schedule(event, in: delay)
    }

    func forwarded(
        _ requests: [ForwardedRequest], to address: PeerAddress, from sender: Int, _ run: Int
    ) {
        guard let node = owner(of: address), node.isUp else {
            // They were on their way: nobody knows how far they came.
            for request in requests { loseForward(request.key, of: sender, run, address) }
            return
        }
        let event = Event.forward(from: sender, run: run, requests, to: address)
        guard !isPostponed(node.slot, event) else { return }
        for request in requests {
            let origin = RequestOrigin.node(slot: sender, run: run, request.key)
            node.submit(request.request, from: origin, at: now)
        }
        settle(node.slot)
    }

    /// The connection breaks: the node that sent the request on learns no more of it.
    func loseForward(_ key: RequestKey, of sender: Int, _ run: Int, _ address: PeerAddress) {
        faults.forwardsLost += 1
        let outcome = Outcome.failed(.forwardingFailed(to: address, cause: "connection lost"))
        schedule(
            .forwardReply(slot: sender, run: run, key, outcome), in: random.within(10...2000))
    }

    func forwardReplied(_ key: RequestKey, _ outcome: Outcome, at slot: Int) {
        let node = nodes[slot]
        if case .failed(.notLeader) = outcome {
            faults.forwardsRefused += 1
            node.post(.forwardRefused([key]))
        } else {
            node.post(.forwardEnded([key]))
            node.answer(key, outcome)
        }
        settle(slot)
    }

    /// An answer on its way to whoever waits for it.
    func answer(_ origin: RequestOrigin, _ outcome: Outcome, from node: SimulatedNode) {
        switch origin {
        case .client(let operation):
            schedule(
                .clientHears(operation, HeardAnswer(outcome)), in: random.within(1...10))
        case .operator: break
        case .node(let sender, let run, let key):
            guard let delay = delay(from: node.slot, to: sender) else {
                return loseForward(key, of: sender, run, node.address)
            }
            schedule(.forwardReply(slot: sender, run: run, key, outcome), in: delay)
        }
    }
}

extension Message {
    /// For those who follow a history.
    fileprivate var summary: String {
        switch body {
        case .voteRequest(let request):
            "\(term) \(request.isPreVote ? "pre-vote" : "vote") for \(request.lastLog)"
        case .voteAnswer(let answer): "\(term) vote \(answer.granted ? "granted" : "refused")"
        case .appendEntries(let append):
            "\(term) append \(append.entries.count) after \(append.previous) "
                + "committed \(append.commitIndex)"
        case .appendAnswer(let answer): "\(term) \(answer.result)"
        case .timeoutNow: "\(term) campaign now"
        case .termIsBehind: "\(term) term is behind"
        }
    }

    /// What its entries take, roughly.
    fileprivate var entryBytes: Int {
        guard case .appendEntries(let append) = body else { return 0 }
        return append.entries.reduce(0) { $0 + $1.size }
    }
}
