internal import Raft
import Chance
package import Wire

/// Entries as a cluster could commit them, made from a seed.
package struct History: Equatable, Sendable {
    /// Of which it was made; entries take their own seeds from it.
    package let seed: UInt64
    /// Whether the cluster enforces foreign keys.
    package var foreignKeys: Bool
    /// Chance and time play no part: SQLite itself can judge the values.
    package var isJudged: Bool
    /// One for each entry, without stamps.
    package var commands: [Command]

    /// - Parameter entries: how many there are at least.
    package init(seed: UInt64, entries: Int) {
        self.seed = seed
        var dice = SplitMix64(seed: seed)
        let hasChance = dice.chance(2, of: 3)
        var temper = StatementMaker.Temper(
            hasChance: hasChance, hasExtremes: hasChance && dice.chance(1, of: 2),
            hasVirtualTables: hasChance && dice.chance(1, of: 3), foreignKeys: dice.chance(1, of: 2)
        )
        // Of some seeds only: histories of others stay what they were.
        temper.hasSettings = hasChance && seed % 2 == 0 && seed % 10 != 8
        if !hasChance, seed % 5 == 3 { temper.hasVirtualTables = true }
        foreignKeys = temper.foreignKeys
        isJudged = !hasChance
        var maker = StatementMaker(temper: temper, dice: dice)
        commands = maker.opening().map {
            Command(kind: .execute, statements: [Statement($0)])
        }
        while commands.count < entries { commands.append(maker.command()) }
    }

    /// The entry at a place, with its stamp.
    func entry(_ place: Int) -> Entry {
        let index = UInt64(place) + 1
        return Entry(
            index: LogIndex(index), term: Term(1),
            payload: .command(LogCommand.command(stamped(place)).encoded()))
    }

    func stamped(_ place: Int) -> Command {
        var command = commands[place]
        var dice = SplitMix64(seed: seed &+ UInt64(place))
        command.stamp = Stamp(
            milliseconds: 1_700_000_000_000 + Int64(place) * 977, seed: dice.next())
        return command
    }

    /// A line per entry, for people.
    package var text: String {
        commands.map { command in
            let flags = command.transaction ? " transaction" : ""
            return "\(command.kind)\(flags): "
                + command.statements.map { statement in
                    statement.positional.isEmpty
                        ? statement.sql : "\(statement.sql) -- \(statement.positional)"
                }.joined(separator: " | ")
        }.joined(separator: "\n")
    }
}

extension StatementMaker {
    /// A request of one to three texts.
    mutating func command() -> Command {
        if dice.chance(1, of: 12) {
            let sql = dice.chance(1, of: 6) ? statement() : select()
            return Command(kind: .query, statements: [Statement(sql)])
        }
        let isTransaction = dice.chance(1, of: 5)
        var statements: [Statement] = []
        for _ in 0...(dice.chance(1, of: 3) ? dice.below(3) : 0) {
            // SQLite as judge has its schema from the file only between transactions.
            let sql = isTransaction && !temper.hasChance ? rowStatement() : statement()
            statements.append(Statement(sql))
        }
        if dice.chance(1, of: 12) { statements.append(bound()) }
        return Command(
            kind: dice.pick([.execute, .request, .request], or: .request),
            statements: statements, transaction: isTransaction)
    }

    private mutating func bound() -> Statement {
        let table = schema.ordinary(&dice)
        let values: [Value] = [
            .null, .integer(Int64(dice.below(9))), .real(0.1), .text("v1"), .text("e\u{301}"),
            .text("\u{E9}"), .blob([0, 255]), .integer(.max),
        ]
        return Statement(
            "INSERT INTO \(table.name)(\(table.column(&dice))) VALUES(?)",
            positional: [dice.pick(values, or: .null)])
    }
}
