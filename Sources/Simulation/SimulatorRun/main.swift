import Glibc
import Simulator

/// `rqlite-simulate`: simulates a range of seeds and says which failed and which faults were
/// reached.
///
///     rqlite-simulate FIRST [LAST] [--seconds N] [--nodes N] [--faults none|N,N,…] [--chapter NAME]
///         [--break RULE] [--tell | --shrink | --survey [--results FILE] [--lanes N]]
let invocation = Invocation(Array(CommandLine.arguments.dropFirst()))
guard let invocation else {
    write(Invocation.usage, to: STDERR_FILENO)
    exit(2)
}
if invocation.shrinks {
    var shrinker = SeedShrinker(invocation)
    guard let small = shrinker.run() else {
        write("seed \(invocation.seeds.lowerBound) does not fail\n", to: STDOUT_FILENO)
        exit(0)
    }
    write(
        "seed \(invocation.seeds.lowerBound) is smallest as: "
            + "\(small.command(for: invocation.seeds.lowerBound))\n", to: STDOUT_FILENO)
    exit(1)
}
if invocation.surveys {
    guard var survey = MutationSurvey(invocation) else {
        write(
            "the file of results is of a survey with other options, or can't be used\n",
            to: STDERR_FILENO)
        exit(2)
    }
    survey.run {
        write("\($0)\n", to: STDOUT_FILENO)
    } progress: {
        write("\($0)\n", to: STDERR_FILENO)
    }
    exit(0)
}
TrapReport.install()
var faults = FaultCounts()
var failed = 0
var milliseconds = 0
var steps = 0
/// Of all histories: the same in every process and every build.
var trace: UInt64 = 0
for seed in invocation.seeds {
    TrapReport.note(seed)
    var settings = invocation.settings(for: seed)
    if invocation.isTold { settings.narrator = { write("\($0)\n", to: STDOUT_FILENO) } }
    let report = Simulation(settings).run()
    faults += report.faults
    milliseconds += report.simulatedMilliseconds
    steps += report.steps
    trace = trace &* 31 &+ report.trace
    if let violation = report.violation {
        failed += 1
        write("seed \(seed) failed: \(violation)\n", to: STDOUT_FILENO)
        write("  replay: \(invocation.command(for: seed))\n", to: STDOUT_FILENO)
    }
}
for (name, path) in FaultCounts.all {
    write("\(name): \(faults[keyPath: path])\n", to: STDOUT_FILENO)
}
write(
    "\(invocation.seeds.count) seeds, \(failed) failed, \(milliseconds / 1000) simulated seconds, "
        + "\(steps) steps, trace \(String(trace, radix: 16))\n", to: STDOUT_FILENO)
exit(failed == 0 ? 0 : 1)

@Sendable func write(_ text: String, to descriptor: Int32) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
        let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        guard count > 0 else { return }
        rest = rest.dropFirst(count)
    }
}
