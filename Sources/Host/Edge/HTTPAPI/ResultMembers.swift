import Wire

/// Writes the members of result documents that are short: outcomes other than rows, errors, times,
/// and the end. Members that are zero or empty are left out.
struct ResultMembers {
    let format: ResultFormat

    /// Every outcome but rows.
    func write(_ statement: StatementResult, to output: inout JSONOutput) {
        switch statement.outcome {
        case .changed(let lastInsertID, let rowsAffected):
            if lastInsertID != 0 {
                output.member("last_insert_id")
                output.integer(lastInsertID)
            }
            if rowsAffected != 0 {
                output.member("rows_affected")
                output.integer(rowsAffected)
            }
            write(nanoseconds: statement.nanoseconds, to: &output)
            if format.associative { writeNullRows(&output) }
        case .empty:
            if format.associative, statement.isRead { writeNoRows(&output) }
            write(nanoseconds: statement.nanoseconds, to: &output)
            if format.associative, !statement.isRead { writeNullRows(&output) }
        case .failed(let message):
            if format.associative, statement.isRead { writeNoRows(&output) }
            write(error: message, to: &output)
        case .rows: break
        }
    }

    /// SQLite repeats names in its messages, and a name may be as long as a statement.
    func write(error message: String, to output: inout JSONOutput) {
        output.member("error")
        if message.utf8.count <= Self.longestError {
            output.text(message)
        } else {
            var text = message
            text = text.withUTF8 {
                String(decoding: $0.prefix(Self.longestError), as: UTF8.self)
            }
            output.text("\(text)… (\(message.utf8.count) bytes)")
        }
    }

    /// Bytes of a message that are shown.
    static let longestError = 64 * 1024

    func write(nanoseconds: UInt64, to output: inout JSONOutput) {
        guard format.timings, nanoseconds != 0 else { return }
        output.member("time")
        output.real(Double(nanoseconds) / 1e9)
    }

    /// What stands behind the results.
    func writeEnd(
        error: String?, logIndex: UInt64, elapsed: () -> Duration, to output: inout JSONOutput
    ) {
        if let error { write(error: error, to: &output) }
        if format.timings {
            write(nanoseconds: UInt64(max(0, elapsed().wholeNanoseconds)), to: &output)
        }
        if format.raftIndex, logIndex != 0 {
            output.member("raft_index")
            output.integer(Int64(bitPattern: logIndex))
        }
        output.endObject()
    }

    /// The same as the last line, where results are lines.
    func writeEndLine(
        error: String?, logIndex: UInt64, elapsed: () -> Duration, to output: inout JSONOutput
    ) {
        output.beginObject()
        output.member("end")
        output.bool(true)
        writeEnd(error: error, logIndex: logIndex, elapsed: elapsed, to: &output)
        output.endLine()
    }

    private func writeNullRows(_ output: inout JSONOutput) {
        output.member("rows")
        output.null()
    }

    private func writeNoRows(_ output: inout JSONOutput) {
        output.member("rows")
        output.beginArray()
        output.endArray()
    }
}
