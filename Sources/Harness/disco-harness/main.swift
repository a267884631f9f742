// The program: reads the command line, lets the runner judge, prints. See docs/harness.md.

import Glibc
import Harness
import JSON

switch CommandLine.arguments.dropFirst().first {
case CheckProcess.verb: CheckProcess.run()
case IsolatedPlugin.verb: IsolatedPlugin.run()
default: break
}

private func fail(_ what: String) -> Never {
    _ = TextFile.write(Array("disco-harness: \(what)\nTry disco-harness --help\n".utf8), to: 2)
    exit(2)
}

/// Output that nobody reads any more is no reason to stop judging.
private func put(_ text: String) { _ = TextFile.write(Array(text.utf8), to: 1) }

private func save(_ text: String, to path: String) {
    if path == "-" { return put(text) }
    guard TextFile.write(Array(text.utf8), to: path) else {
        fail("\(path): \(String(cString: strerror(errno)))")
    }
}

// A reader that goes away ends the output, not the run.
signal(SIGPIPE, SIG_IGN)
let invocation: Invocation
let runner: Runner
do throws(InvocationError) {
    invocation = try Invocation(Array(CommandLine.arguments.dropFirst()))
    switch invocation.action {
    case .help:
        put(Invocation.usage + "\n")
        exit(0)
    case .list:
        put(Presentation.list)
        exit(0)
    case .judge: break
    }
    runner = try Runner(invocation)
} catch {
    fail(error.description)
}

let checks = CheckCatalog.select(invocation.only)
let presentation = Presentation(isTerminal: isatty(1) == 1)
// Where the results themselves go to standard output, nothing else does.
let isQuiet = invocation.json == "-" || invocation.junit == "-"
if !isQuiet { put(presentation.heading(runner, count: checks.count)) }
var number = 0
let entries = runner.run(checks) { entry in
    number += 1
    if !isQuiet { put(presentation.line(entry, number, of: checks.count)) }
}
let report = Report(runner, entries)
if let path = invocation.json { save(report.json.text(pretty: true) + "\n", to: path) }
if let path = invocation.junit { save(report.junit, to: path) }
if !isQuiet { put("\(report.faults)\(report.summary)\n") }
exit(report.hasFailed ? 1 : 0)
