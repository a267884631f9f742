import Chance
import Cluster
import PeerProtocol
import Raft
import Time
import WriteAheadLog

/// The agreement on one bootstrap, and joining through the candidates.
extension Rendezvous {
    mutating func startSearch(_ goal: Goal, limit: FormationSettings.Limit) {
        let expect = goal == .form ? options.plan.expect ?? 0 : 0
        let introduction = FormationIntroduction(
            identity: options.identity, address: options.address,
            suffrage: options.plan.suffrage, expect: expect)
        var settings = FormationSettings(introduction, limit: limit)
        settings.answerPatience = Self.helloTime + .seconds(1)
        settings.dropCommand =
            "curl -sS --fail-with-body \(options.clientFlags)'\(options.apiURL)/cluster/drop' -d "
        settings.rules = options.raft.rules
        let machine = Formation(
            settings, state: goal == .form ? acceptor : AcceptorState(),
            freshClusterID: chance.nextID(), seed: chance.next())
        search = Search(goal: goal, machine: machine, start: now)
        // Nobody has told of candidates yet, who will in a moment: that is no list without any.
        guard goal == .rejoin || candidates != nil else { return step { _ in } }
        lookUpNames()
        let addresses = addressesToAsk()
        step { $0.machine.candidatesChanged(addresses) }
    }

    /// A member that lost the others looks for them where they were, too: not all have moved.
    private mutating func addressesToAsk() -> [CandidateAddress] {
        guard let search else { return [] }
        let listed = names.candidates(from: search.start - Self.clockStart)
        guard search.goal == .rejoin else {
            let expect = search.machine.settings.introduction.expect
            return recent.complete(listed, expect: expect, now: now - Self.clockStart)
        }
        // A leader that moved asks itself to change its address: the others know it by the old one.
        var addresses = [options.address]
        for member in situation.membership.members where member.id != options.identity.id {
            for place in [situation.places[member.id], member.address] {
                if let place, !addresses.contains(place) { addresses.append(place) }
            }
        }
        let plain = addresses.map { CandidateAddress($0) }
        return plain + listed.filter { !addresses.contains($0.address) }
    }

    /// That of `names`.
    static var clockStart: MonotonicTime { MonotonicTime(nanoseconds: 0) }

    /// Names matter while this node looks for others.
    mutating func lookUpNames() {
        guard search != nil else { return }
        for host in names.due(now - Self.clockStart) { decisions.append(.lookUp(host)) }
    }

    /// What came of a lookup.
    mutating func nameLookedUp(_ host: String, _ answer: CandidateNames.Answer) {
        guard names.answered(host, answer, now: now - Self.clockStart) else { return }
        let addresses = addressesToAsk()
        step { $0.machine.candidatesChanged(addresses) }
    }

    // MARK: Inputs

    mutating func candidatesChanged(_ list: Candidates) {
        let isNews = candidates?.problem != list.problem
        candidates = list
        if let problem = list.problem, isNews {
            say(.warning, "candidates are incomplete", ["cause": problem])
        }
        names.replace(by: list.addresses, now: now - Self.clockStart)
        lookUpNames()
        let addresses = addressesToAsk()
        step { $0.machine.candidatesChanged(addresses) }
    }

    /// An operator says that these addresses are gone for good.
    /// - Returns: why they can't be dropped, for the operator.
    mutating func drop(_ addresses: [PeerAddress]) -> String? {
        guard search?.goal == .form else {
            return Formation.DropRefusal.nothingToAgreeOn.description
        }
        var refusal: String?
        step { search in
            do {
                try search.machine.drop(addresses)
            } catch {
                refusal = "\(error)"
            }
        }
        if refusal == nil {
            say(
                .warning, "addresses were dropped from the list by an operator",
                ["addresses": addresses.map(\.rawValue).joined(separator: ", ")])
        }
        return refusal
    }

    mutating func helloHeard(_ identity: NodeIdentity) {
        step { $0.machine.heard(from: identity) }
    }

    /// Another node sends a message of the agreement.
    mutating func formationAsked(_ bytes: [UInt8], _ question: PeerQuestionID) {
        let message: FormationMessage
        do {
            message = try FormationMessage(decoding: bytes)
        } catch {
            answer(question, .failed("formation message not understood: \(error)"))
            return decisions.append(
                .brokeProtocol(question, cause: "formation message not understood: \(error)"))
        }
        if let cluster = situation.cluster {
            let reply = FormationMessage.answer(
                to: message, fromMemberOf: cluster, value: foundingValue(of: cluster))
            return answer(
                question, reply.map { .formation($0.encoded()) } ?? .failed("not a question"))
        }
        guard search != nil else {
            return answer(question, .failed("this node forms no cluster with others"))
        }
        step { search in
            search.lastRequest += 1
            let id = FormationRequestID(search.lastRequest)
            search.questions[id] = question
            // Not every message gets an answer; who sent the oldest has given up since.
            if search.lastRequest > Search.mostQuestions {
                let oldest = search.lastRequest - Search.mostQuestions
                search.questions[FormationRequestID(oldest)] = nil
            }
            search.machine.requested(message, by: id)
        }
    }

    private mutating func answer(_ question: PeerQuestionID, _ reply: PeerAnswer) {
        decisions.append(.answer(question, reply))
    }

    /// The bootstrap of this very cluster: a recovered one is no longer the one that was agreed on.
    private func foundingValue(of cluster: ClusterID) -> BootstrapValue? {
        acceptor.chosen.flatMap { $0.cluster == cluster ? $0 : nil }
    }

    /// What came of a call that was made for this purpose.
    mutating func answered(
        _ purpose: Purpose, at address: PeerAddress, _ result: PeerResult
    ) {
        if registry?.formation != nil {
            return registryFormationAnswered(purpose, address, result)
        }
        switch result {
        case .failure(let error):
            step { $0.machine.unreachable(address, reason: error.cause) }
        case .success(.hello(let hello)):
            noteWork(of: hello)
            decisions.append(.met(hello))
            if reviewBootstrap(hello) { return }
            if let reason = unfitness(ofFounder: hello) {
                return step { $0.machine.unreachable(address, reason: reason) }
            }
            tellFounder(CandidateFacts(hello), at: address)
            step { $0.machine.helloAnswered(CandidateFacts(hello), from: address) }
        case .success(.formation(let bytes)):
            // A member has nothing to learn of the agreement any more.
            guard search?.goal == .form else { return }
            do {
                let message = try FormationMessage(decoding: bytes)
                step { $0.machine.answered(message, from: address) }
            } catch {
                step { $0.machine.unreachable(address, reason: "\(error)") }
            }
        case .success(.joined(let acceptance)):
            // Who was asked before this node came to its cluster may answer late, and know another one.
            if let own = situation.cluster ?? pending?.cluster, own != acceptance.cluster {
                let reason = "a node of cluster \(acceptance.cluster)"
                return step { $0.machine.unreachable(address, reason: reason) }
            }
            noteJoining(acceptance, via: address)
            step { $0.machine.joined(acceptance.cluster) }
        case .success(.joinRefused(let refusal)): joinRefused(refusal, via: address)
        case .success(.unsupported(let kind)):
            step { $0.machine.unreachable(address, reason: "does not know request \(kind)") }
        case .success(.failed(let text)):
            step { $0.machine.unreachable(address, reason: text) }
        case .success(.checksums), .success(.seeding):
            step { $0.machine.unreachable(address, reason: "answered what nobody asked") }
        }
    }

    /// A member that lost the others may have met a founder that never heard of the founding, and
    /// that is needed for a quorum. Not one that was removed since.
    private mutating func tellFounder(_ facts: CandidateFacts, at address: PeerAddress) {
        let identity = facts.introduction.identity
        guard search?.goal == .rejoin, situation.takesPart, let cluster = situation.cluster,
            let founding = foundingValue(of: cluster),
            situation.membership[identity.id]?.incarnation == identity.incarnation,
            let news = FormationMessage.news(of: founding, for: facts)
        else { return }
        call(.formation, .formation(news.encoded()), at: address, .seconds(2))
    }

    private mutating func joinRefused(_ refusal: JoinRefusal, via address: PeerAddress) {
        if refusal.code == .removed {
            decisions.append(.wasRemoved(cause: refusal.text))
            return
        }
        // Another process lives with this identity: only one of the two may act as the member.
        if refusal.code == .identityInUse {
            decisions.append(.fail(refusal.text))
            return
        }
        step {
            $0.machine.joinRefused(
                via: address, reason: refusal.text, leader: refusal.leader?.address)
        }
    }

    /// A joiner's own log does not name anybody yet, but it must answer the leader.
    mutating func noteJoining(_ acceptance: JoinAcceptance, via address: PeerAddress) {
        say(.announcement, "successfully joined cluster at \(address)")
        let own = acceptance.membership[options.identity.id]
        let isFounder =
            own?.incarnation == options.identity.incarnation && own?.suffrage == .voter
        admission = isFounder ? acceptance.membership : Membership()
        isRecognized = true
        decisions.append(.introduced(acceptance))
    }

    // MARK: Effects

    mutating func step(_ input: (inout Search) -> Void) {
        guard var running = search else { return }
        // Taken out, so that a change does not copy it.
        search = nil
        running.machine.tick(now - running.start)
        input(&running)
        search = running
        while let effects = search?.machine.takeEffects(), !effects.isEmpty {
            for effect in effects { perform(effect) }
        }
    }

    private mutating func perform(_ effect: FormationEffect) {
        switch effect {
        case .sendHello(let address): call(.hello, .hello, at: address, Self.helloTime)
        case .send(let message, let address):
            call(.formation, .formation(message.encoded()), at: address, .seconds(2))
        case .answer(let message, let id):
            if let question = search?.questions.removeValue(forKey: id) {
                answer(question, .formation(message.encoded()))
            }
        case .persist(let bytes, let ticket):
            if let state = search?.machine.state { acceptor = state }
            decisions.append(.record([.formation(bytes)], .formation(ticket)))
        case .attemptJoin(let address): attemptJoin(via: address)
        case .start(let value, let campaign):
            // A late answer tells a member of its own founding, which took place: to begin again
            // would be to forget what it voted and acknowledged since.
            if search?.goal == .rejoin { search = nil }
            guard search?.goal == .form, situation.cluster == nil, pending == nil else { return }
            say(
                .info, "cluster bootstrap agreed",
                ["cluster.id": "\(value.cluster)", "members": value.membership.summary])
            become(member: value.membership, of: value.cluster, campaign: campaign)
        case .joined(let cluster): finishJoining(cluster)
        case .waiting(let text):
            // A member looks for the others in the background; what it lacks is in `/status`.
            if search?.goal == .form {
                say(.info, "waiting for a cluster", ["waiting.for": text])
            } else {
                say(.debug, "looking for the other members", ["waiting.for": text])
            }
        case .refused(let refusal):
            say(.warning, "another node does not fit", ["cause": "\(refusal)"])
        case .messageRefused(let source, let breach):
            if case .request(let id) = source,
                let question = search?.questions.removeValue(forKey: id)
            {
                answer(question, .failed("\(breach)"))
                decisions.append(.brokeProtocol(question, cause: "\(breach)"))
            } else if case .answer(let place) = source {
                decisions.append(.answeredFalsely(place, cause: "\(breach)"))
            }
        case .fatal(let refusal): decisions.append(.fail("clustering failure: \(refusal)"))
        case .gaveUp(let text): decisions.append(.fail("clustering failure: \(text)"))
        }
    }

    /// Why who answers can't found a cluster together with this node; nil: it may, or has one.
    func unfitness(ofFounder hello: Hello) -> String? {
        guard hello.cluster == nil,
            let sets = options.otherExtensions(options.engine, hello.versions.engine)
        else { return nil }
        return "it has other SQLite extensions: \(sets.other), here \(sets.own)"
    }

    mutating func call(
        _ purpose: Purpose, _ request: PeerRequest, at address: PeerAddress, _ timeout: Duration
    ) {
        decisions.append(.call(purpose, request, at: address, timeout: timeout))
    }

    mutating func attemptJoin(via address: PeerAddress) {
        let request = JoinRequest(
            identity: options.identity, address: options.address, apiURL: options.apiURL,
            suffrage: options.plan.suffrage, cluster: situation.cluster, intent: joinIntent,
            run: run)
        call(.join, .join(request), at: address, Self.joinPatience)
    }

    /// A start with `-join` or a discovery mode asks for membership. Later in a run, and without
    /// these, a member only wants to find the others.
    private var joinIntent: JoinRequest.Intent {
        let isReturning = options.plan == .alone || isRecognized
        return search?.goal == .rejoin && isReturning ? .resume : .join
    }

    private mutating func finishJoining(_ cluster: ClusterID) {
        if search?.goal == .rejoin {
            search = nil
            lostSince = nil
            isDoubted = false
            acceptedAt = now
        } else {
            become(member: admission, of: cluster, campaign: false)
        }
    }
}

extension CandidateFacts {
    init(_ hello: Hello) {
        self.init(
            introduction: FormationIntroduction(
                identity: hello.identity, address: hello.address, suffrage: hello.suffrage,
                expect: hello.bootstrapExpect ?? 0),
            cluster: hello.cluster, leader: hello.leader?.address)
    }
}

extension Membership {
    /// For log lines: `1@host:4002 voter, 2@host:4004 learner`.
    var summary: String {
        members.map { "\($0.id)@\($0.address) \($0.suffrage)" }.joined(separator: ", ")
    }
}
