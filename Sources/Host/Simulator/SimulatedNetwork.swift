/// Decides what becomes of each message between nodes: lost, late, doubled, or held up by a
/// partition. Messages overtake each other because each has a delay of its own.
struct SimulatedNetwork {
    /// In messages of a thousand.
    var lossRate = 0
    var duplicationRate = 0
    var delay = 1...20
    /// What a message takes now and then.
    var longDelay = 50...800
    var longDelayRate = 0
    private let count: Int
    /// Links by sender and receiver that carry nothing.
    private var cut: [Bool]

    init(count: Int) {
        self.count = count
        cut = Array(repeating: false, count: count * count)
    }

    func isCut(from sender: Int, to receiver: Int) -> Bool { cut[sender * count + receiver] }

    mutating func setCut(_ isCut: Bool, from sender: Int, to receiver: Int) {
        guard sender != receiver else { return }
        cut[sender * count + receiver] = isCut
    }

    mutating func heal() {
        for i in cut.indices { cut[i] = false }
    }

    /// Nothing goes wrong any more.
    mutating func calm() {
        heal()
        lossRate = 0
        duplicationRate = 0
        longDelayRate = 0
        delay = 1...20
    }

    /// Cuts the links between the two sides, in both directions or in one only.
    mutating func split(_ isInside: (Int) -> Bool, isAsymmetric: Bool) {
        for sender in 0..<count {
            for receiver in 0..<count where isInside(sender) != isInside(receiver) {
                if !isAsymmetric || isInside(sender) {
                    setCut(true, from: sender, to: receiver)
                }
            }
        }
    }

    /// Delays after which copies of a message arrive: none when it is lost.
    func delays(
        from sender: Int, to receiver: Int, random: inout SeededGenerator,
        faults: inout FaultCounts
    ) -> [Int] {
        if isCut(from: sender, to: receiver) {
            faults.messagesCut += 1
            return []
        }
        if random.chance(lossRate, of: 1000) {
            faults.messagesLost += 1
            return []
        }
        var delays = [self.delay(&random, &faults)]
        if random.chance(duplicationRate, of: 1000) {
            faults.messagesDuplicated += 1
            delays.append(self.delay(&random, &faults))
        }
        return delays
    }

    private func delay(_ random: inout SeededGenerator, _ faults: inout FaultCounts) -> Int {
        guard random.chance(longDelayRate, of: 1000) else { return random.within(delay) }
        faults.messagesDelayed += 1
        return random.within(longDelay)
    }
}
