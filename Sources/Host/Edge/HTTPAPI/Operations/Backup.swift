import NIOHTTP1
import Rights
import Service
import Telemetry
import Wire

/// `/db/backup`: a copy of the database, as file or as SQL, made at one index of the log.
extension HTTPOperation {
    static let backup = HTTPOperation(
        "backup", [.prefix("/db/backup")], [.GET], [.backup], need: .level, code: .backup,
        note: OperationNote(
            "A copy of the database, at one index of the log.",
            [.form, .vacuum, .compress, .tables, .ownCopy, .redirect, .timeout],
            requestFields: [.range, .ifRange, .ifMatch],
            [
                .stream(200, .bytes, "The copy, or as much of it as could be made."),
                .stream(200, .sql, "The copy, as SQL."),
                .stream(206, .bytes, "Bytes of a copy that is kept."),
                .text(412, "The copy that was named is not kept any more."),
                .text(416, "The range begins behind the copy's end."),
                .text(500, "The copy can't be made, or vacuum stands with another form."),
            ], answerFields: [.servedBy, .logIndex, .commit, .entityTag]),
        content: .none, counting: { $0.backups },
        answerToHead: { _, request in
            let parameters = request.parameters
            guard parameters.has(.vacuum), parameters.backup.form != .binary else { return nil }
            return .plain(.internalServerError, "invalid backup format")
        },
        work: { _, request in
            let parameters = request.parameters
            // A copy shows what was acknowledged before it was asked for, unless the client wants
            // this node's own database, whatever it holds.
            let options = ReadOptions(
                level: parameters.has(.noleader) ? .none : .linearizable,
                linearizableTimeout: parameters.timeout)
            var backup = parameters.backup
            if backup.form != .sql, !backup.compress {
                backup.selection = CopyFields.selection(request.headers)
            }
            return .submit(.backup(backup, options))
        },
        answer: { desk, reply, pending in
            switch reply.outcome {
            case .part(let part):
                let isText = pending.parameters.backup.form == .sql
                return desk.content(
                    isText ? .sql : .bytes, beginning: part, servedBy: reply.servedBy, pending)
            case .results(let result):
                return .plain(.internalServerError, result.error ?? "there is no copy")
            default: return nil
            }
        },
        failure: { .plain(.internalServerError, ErrorTable.text($0)) })
}

extension QueryParameters {
    /// Unknown formats mean the default, as rqlite has it.
    var backup: BackupRequest {
        let form: BackupRequest.Form =
            switch self[.fmt]?.lowercased() {
            case "sql": .sql
            case "delete": .delete
            default: .binary
            }
        let names = (self[.tables] ?? "").split(separator: ",").map(Self.trimmed)
            .filter { !$0.isEmpty }
        return BackupRequest(
            form: form, vacuum: has(.vacuum), compress: has(.compress),
            tables: form == .sql && !names.isEmpty ? names : nil)
    }

    /// Without the white space around it.
    private static func trimmed(_ name: Substring) -> String {
        let start = name.drop(while: \.isWhitespace)
        let end = start.lastIndex { !$0.isWhitespace }
        return end.map { String(start[...$0]) } ?? ""
    }
}
