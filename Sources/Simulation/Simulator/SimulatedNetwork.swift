import Chance

/// Decides what becomes of each message between nodes: lost, late, doubled, or held up by a
/// partition or by what goes before it.
///
/// In some histories messages overtake each other, because each has a delay of its own. In others
/// the links carry streams of a bandwidth: a message waits for those before it on its connection,
/// and large ones take their time. Large appends have a connection of their own, as in the
/// transport.
struct SimulatedNetwork {
    enum Lane: Int { case control, bulk, calls }

    /// In messages of a thousand.
    var lossRate = 0
    var duplicationRate = 0
    var delay = 1...20
    /// What a message takes now and then.
    var longDelay = 50...800
    var longDelayRate = 0
    /// In bytes a millisecond; nil: messages don't wait for each other.
    var bandwidth: Int?
    private let count: Int
    /// Links by sender and receiver that carry nothing.
    private var cut: [Bool]
    /// When the last byte under way leaves, and when the last message arrives, by lane and link.
    private var busyUntil: [Int]
    private var lastArrival: [Int]

    /// Messages that would wait longer are dropped: a link's queue has a bound.
    private static var longestQueue: Int { 4000 }
    /// Bytes of entries from which on an append goes by the lane for large ones.
    static var bulkBytes: Int { 512 }

    init(count: Int) {
        self.count = count
        cut = Array(repeating: false, count: count * count)
        busyUntil = Array(repeating: 0, count: count * count * 3)
        lastArrival = busyUntil
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
    /// - Parameter size: in bytes.
    mutating func delays(
        from sender: Int, to receiver: Int, _ lane: Lane, size: Int, at now: Int,
        random: inout SplitMix64, faults: inout FaultCounts
    ) -> [Int] {
        if isCut(from: sender, to: receiver) {
            faults.messagesCut += 1
            return []
        }
        if let bandwidth {
            return stream(from: sender, to: receiver, lane, size, bandwidth, now, &random, &faults)
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

    private mutating func stream(
        from sender: Int, to receiver: Int, _ lane: Lane, _ size: Int, _ bandwidth: Int,
        _ now: Int, _ random: inout SplitMix64, _ faults: inout FaultCounts
    ) -> [Int] {
        let link = (lane.rawValue * count + sender) * count + receiver
        let start = max(now, busyUntil[link])
        guard start - now <= Self.longestQueue else {
            faults.messagesLost += 1
            return []
        }
        if start - now > 100 { faults.messagesQueued += 1 }
        busyUntil[link] = start + size / bandwidth
        let arrival = max(lastArrival[link], busyUntil[link] + delay(&random, &faults))
        lastArrival[link] = arrival
        return [arrival - now]
    }

    private func delay(_ random: inout SplitMix64, _ faults: inout FaultCounts) -> Int {
        guard random.chance(longDelayRate, of: 1000) else { return random.within(delay) }
        faults.messagesDelayed += 1
        return random.within(longDelay)
    }
}
