/// How much work and room the writes of clients may take, the same on every node. What goes beyond
/// ends as an error of that request, on every node, and writing goes on.
///
/// The log carries every change of them (`LogCommand.limits`), so that each entry is applied under
/// the limits of its place in the log. They never change by themselves.
package struct WriteLimits: Equatable, Sendable {
    /// What one request may cost in steps of SQLite's virtual machine. What our own functions go
    /// through counts too, a step per 16 bytes, and so do the large values that SQLite's own make and
    /// hold (decision 92). At least 10,000.
    package var steps: UInt64
    /// By how many bytes one statement, or one transaction, may make the database grow.
    package var growth: UInt64
    /// How large the database may be, in bytes. Above it what makes it no larger still works.
    package var database: UInt64
    /// What the temporary files of one statement may hold, in bytes: what it sorts and gathers, and
    /// the copy that VACUUM makes (see `copy`).
    package var temporary: UInt64

    package init(steps: UInt64, growth: UInt64, database: UInt64, temporary: UInt64) {
        self.steps = steps
        self.growth = growth
        self.database = database
        self.temporary = temporary
    }

    /// Those of a cluster that has set none: ten to twenty seconds of work, 16 GiB more in one
    /// statement, and 256 TiB, which is more than SQLite's own limit. 4 GiB of temporary files are
    /// what sorting takes of as many rows as the steps allow, sixty million, at 64 bytes each; a disk
    /// has them to spare beside the database.
    package static let initial = WriteLimits(
        steps: 1_000_000_000, growth: 16 << 30, database: 256 << 40, temporary: 4 << 30)

    /// What the copy of the database that VACUUM makes may hold, in bytes: it is never more than the
    /// database has, so the usual limit on what statements make up is not meant for it.
    package var copy: UInt64 { temporary == Self.initial.temporary ? 64 << 30 : temporary }

    /// The smallest values that can be set. With less, entries of the daemon's own could fail.
    package static let least = WriteLimits(
        steps: 10_000, growth: 1 << 20, database: 1 << 20, temporary: 1 << 20)
}

/// New values for some of the limits; nil leaves one as it is. So two changes under way at once
/// don't undo each other.
package struct WriteLimitsChange: Equatable, Sendable {
    package var steps: UInt64?
    package var growth: UInt64?
    package var database: UInt64?
    package var temporary: UInt64?

    package init(
        steps: UInt64? = nil, growth: UInt64? = nil, database: UInt64? = nil,
        temporary: UInt64? = nil
    ) {
        self.steps = steps
        self.growth = growth
        self.database = database
        self.temporary = temporary
    }
}

extension WriteLimits {
    /// With the values that a change names. None goes below `least`, whoever wrote the entry.
    package func applying(_ change: WriteLimitsChange) -> WriteLimits {
        WriteLimits(
            steps: max(change.steps ?? steps, Self.least.steps),
            growth: max(change.growth ?? growth, Self.least.growth),
            database: max(change.database ?? database, Self.least.database),
            temporary: max(change.temporary ?? temporary, Self.least.temporary))
    }
}

// On the wire and in the database: a list of (u8 field | u64 value), in the order of the fields.
// A field that is not known is an error: a node that skipped it would apply entries differently.
//
//     1 steps  2 growth  3 database  4 temporary

extension WriteLimitsChange {
    package func encode(into writer: inout ByteWriter) {
        let fields: [(UInt8, UInt64)] = [
            (1, steps), (2, growth), (3, database), (4, temporary),
        ].compactMap { field, value in value.map { (field, $0) } }
        writer.write(fields) {
            $0.write($1.0)
            $0.write($1.1)
        }
    }

    package init(from reader: inout ByteReader) throws(WireError) {
        self.init()
        let fields = try reader.readList(elementSize: 9) { (r) throws(WireError) in
            (try r.readByte(), try r.read(UInt64.self))
        }
        for (field, value) in fields {
            switch field {
            case 1: steps = value
            case 2: growth = value
            case 3: database = value
            case 4: temporary = value
            default: throw .invalid(field: "write limit", value: UInt64(field))
            }
        }
    }
}

extension WriteLimits {
    /// All four, as a change.
    package var all: WriteLimitsChange {
        WriteLimitsChange(steps: steps, growth: growth, database: database, temporary: temporary)
    }
}
