import Simulator

/// What the command line asks for.
struct Invocation {
    var seeds: ClosedRange<UInt64>
    var seconds: Int?
    var mutation: Mutation?
    /// Every step of the histories is told.
    var isTold = false

    init?(_ arguments: [String]) {
        var numbers: [UInt64] = []
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            switch argument {
            case "--seconds":
                guard let text = rest.popFirst(), let number = Int(text), number > 0 else {
                    return nil
                }
                seconds = number
            case "--tell": isTold = true
            case "--break":
                guard let text = rest.popFirst(), let rule = Mutation(rawValue: text) else {
                    return nil
                }
                mutation = rule
            default:
                guard let number = UInt64(argument) else { return nil }
                numbers.append(number)
            }
        }
        guard let first = numbers.first, numbers.count <= 2, let last = numbers.last, first <= last
        else { return nil }
        seeds = first...last
    }

    /// What replays one of the seeds.
    func command(for seed: UInt64) -> String {
        var text = "swift run -c release rqlite-simulate \(seed)"
        if let seconds { text += " --seconds \(seconds)" }
        if let mutation { text += " --break \(mutation.rawValue)" }
        return text
    }
}
