import Simulator

/// What the command line asks for.
struct Invocation {
    /// First and last of the seeds, both included.
    var seeds: ClosedRange<UInt64>
    /// Simulated time with faults; nil: as long as the simulation has it.
    var seconds: Int?
    /// The rule that is broken; nil: none.
    var mutation: Mutation?
    /// What befalls the cluster as a whole; nil: what each seed says.
    var chapter: Chapter?
    /// Of how many nodes the clusters are; nil: what each seed says.
    var nodes: Int?
    /// Which of the faults happen, by their order; nil: all.
    var faults: Set<Int>?
    /// Every step of the histories is told.
    var isTold = false
    /// The history that fails is made small first.
    var shrinks = false
    /// For every rule that can be broken, or the one named, it is counted how many seeds notice it.
    var surveys = false
    /// Of the rules that `--break` names, all that are surveyed; empty: every one.
    var rules: [Mutation] = []
    /// Where a survey keeps what seeds said, and finds what they have said before; nil: nowhere.
    var results: String?
    /// So many histories of a survey at once; nil: as many as there are processors.
    var lanes: Int?

    static let usage = """
        usage: rqlite-simulate FIRST [LAST] [--seconds N] [--nodes N] [--faults none|N,N,…]
                   [--chapter NAME] [--break RULE] [--tell | --shrink]
               rqlite-simulate FIRST [LAST] --survey [--results FILE] [--lanes N] [--break RULE]...
                   [other options]
        Rules of the machines are broken by debug builds alone: without -c release.

        """

    init?(_ arguments: [String]) {
        var numbers: [UInt64] = []
        seeds = 0...0
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            if let number = UInt64(argument) {
                numbers.append(number)
            } else if argument == "--tell" {
                isTold = true
            } else if argument == "--shrink" {
                shrinks = true
            } else if argument == "--survey" {
                surveys = true
            } else {
                guard let value = rest.popFirst(), take(argument, value) else { return nil }
            }
        }
        guard let first = numbers.first, numbers.count <= 2, let last = numbers.last, first <= last
        else { return nil }
        seeds = first...last
        if surveys { mutation = nil }
    }

    /// - Returns: whether there is such an option with such a value.
    private mutating func take(_ option: String, _ value: String) -> Bool {
        switch option {
        case "--seconds":
            seconds = Int(value).flatMap { $0 > 0 ? $0 : nil }
            return seconds != nil
        case "--nodes":
            nodes = Int(value).flatMap { $0 > 0 ? $0 : nil }
            return nodes != nil
        case "--chapter":
            chapter = Chapter(rawValue: value)
            return chapter != nil
        case "--break":
            mutation = Mutation(rawValue: value)
            if let mutation { rules.append(mutation) }
            return mutation?.isPossible ?? false
        case "--results":
            results = value
            return true
        case "--lanes":
            lanes = Int(value).flatMap { $0 > 0 ? $0 : nil }
            return lanes != nil
        case "--faults":
            let numbers = value == "none" ? [] : value.split(separator: ",").map { Int($0) }
            guard numbers.allSatisfy({ $0 != nil }) else { return false }
            faults = Set(numbers.compactMap { $0 })
            return true
        default: return false
        }
    }

    /// The arguments that play one of the seeds as this invocation does.
    func arguments(for seed: UInt64) -> [String] {
        var words = ["\(seed)"]
        if let seconds { words += ["--seconds", "\(seconds)"] }
        if let nodes { words += ["--nodes", "\(nodes)"] }
        if let faults {
            let list = faults.sorted().map { "\($0)" }.joined(separator: ",")
            words += ["--faults", list.isEmpty ? "none" : list]
        }
        if let chapter { words += ["--chapter", chapter.rawValue] }
        if let mutation { words += ["--break", mutation.rawValue] }
        return words
    }

    /// What replays one of the seeds.
    func command(for seed: UInt64) -> String {
        let isInRelease = mutation?.isOfMachines != true
        return "swift run \(isInRelease ? "-c release " : "")rqlite-simulate "
            + arguments(for: seed).joined(separator: " ")
    }

    /// What plays one of the seeds.
    func settings(for seed: UInt64) -> SimulationSettings {
        var settings = SimulationSettings(seed: seed, mutation: mutation)
        if let seconds { settings.safetyMilliseconds = seconds * 1000 }
        settings.nodeCount = nodes
        settings.faults = faults
        settings.chapter = chapter
        return settings
    }
}
