import NIOHTTP1
import Rights
import Telemetry
import Wire

/// Every operation of the API. Paths are matched from top to bottom.
enum OperationTable {
    static let all: [HTTPOperation] = [
        .execute, .query, .request,
        .root, .consoleRedirect, .console,
        .limits, .changeLimits, .retryApply, .skipEntry,
        .backup, .load, .rowsImport, .analysis, .boot, .snapshot, .reap,
        .remove, .status, .nodes, .leader, .transferLeadership, .reseed, .drop, .readiness,
        .variables, .metrics, .licenses, .apiDescription,
    ]

    /// The operations that share a path, each with methods of its own.
    struct PathEntry: Sendable {
        let operations: [HTTPOperation]
        /// For the header field `Allow`; nil: every method is taken.
        let allow: String?

        init(_ operations: [HTTPOperation]) {
            self.operations = operations
            let methods = operations.compactMap(\.methods)
            allow =
                methods.count < operations.count
                ? nil
                : (methods.flatMap(\.self) + [.OPTIONS]).map(\.rawValue).sorted()
                    .joined(separator: ", ")
        }

        func operation(for method: HTTPMethod) -> HTTPOperation? {
            operations.first { $0.methods?.contains(method) ?? true }
        }

        var counter: (@Sendable (HTTPCounters) -> Counter)? { operations[0].counter }
        var content: Response.Content { operations[0].content }
    }

    static func path(for path: String) -> PathEntry? {
        entries.first { entry in entry.operations[0].paths.contains { $0.matches(path) } }
    }

    private static let entries: [PathEntry] = {
        var groups: [[HTTPOperation]] = []
        for operation in all {
            if let place = groups.firstIndex(where: { $0[0].paths == operation.paths }) {
                groups[place].append(operation)
            } else {
                groups.append([operation])
            }
        }
        return groups.map { PathEntry($0) }
    }()

    /// The table of docs/http-api.md.
    static var document: String {
        let head = """
            | operation | methods | path | permission | body | served by |
            |---|---|---|---|---|---|

            """
        return head
            + all.map { operation in
                let paths = operation.paths.map { path in
                    switch path {
                    case .exact(let text): text.isEmpty ? "(empty)" : "`\(text)`"
                    case .prefix(let text): "`\(text)…`"
                    }
                }
                return [
                    operation.name,
                    operation.methods?.map(\.rawValue).joined(separator: ", ") ?? "any",
                    paths.joined(separator: ", "),
                    operation.permissions.isEmpty
                        ? "none"
                        : operation.permissions.map { "`\($0.rawValue)`" }.joined(
                            separator: " and "),
                    operation.body.rawValue, operation.need.rawValue,
                ].joined(separator: " | ")
            }.map { "| \($0) |\n" }.joined()
    }
}
