/// What the command line asks for.
struct Invocation {
    var seeds: ClosedRange<UInt64>
    /// Of one history.
    var entries = 100
    var restartEvery = 20

    init?(_ arguments: [String]) {
        var numbers: [UInt64] = []
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            switch argument {
            case "--entries":
                guard let number = rest.popFirst().flatMap({ Int($0) }), number > 0 else {
                    return nil
                }
                entries = number
            case "--restart-every":
                guard let number = rest.popFirst().flatMap({ Int($0) }), number > 0 else {
                    return nil
                }
                restartEvery = number
            default:
                guard let number = UInt64(argument) else { return nil }
                numbers.append(number)
            }
        }
        guard let first = numbers.first, numbers.count <= 2, let last = numbers.last, first <= last
        else { return nil }
        seeds = first...last
    }
}
