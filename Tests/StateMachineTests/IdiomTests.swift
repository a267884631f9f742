import SQLite
import Scratch
import Testing
import Wire

@testable import StateMachine

/// What people write every day, one statement after the other: each must give what SQLite gives without the daemon.
/// `SQLCheck` looks for what nobody thought of.
@Suite struct IdiomTests {
    @Test func `Everyday SQL gives what SQLite gives`() throws {
        let database = try Database(foreignKeys: true)
        let directory = try TemporaryDirectory("idioms")
        let sqlite = try Connection(path: "\(directory.path)/plain.sqlite", access: .create)
        try sqlite.execute("PRAGMA foreign_keys=ON")
        for sql in Self.idioms.split(separator: "\n").map(String.init) {
            #expect(try Self.ours(sql, database) == Self.plain(sql, sqlite), "\(sql)")
        }
    }

    private static func ours(_ sql: String, _ database: Database) throws -> [String] {
        switch try database.request(sql).first {
        case .rows(let rows): try rows.lines()
        case .failed(let text): ["failed: \(text)"]
        case .changed, .empty, nil: []
        }
    }

    private static func plain(_ sql: String, _ sqlite: borrowing Connection) -> [String] {
        var lines: [String] = []
        do throws(SQLiteError) {
            let statement = try sqlite.prepare(sql)
            while try statement.step() {
                let values = (0..<statement.columnCount).map { column in
                    switch statement.type(at: column) {
                    case 1: "\(statement.integer(at: column))"
                    case 2: "\(statement.real(at: column))"
                    case 3: statement.text(at: column) ?? ""
                    case 4: "\(statement.blob(at: column))"
                    default: "NULL"
                    }
                }
                lines.append(values.joined(separator: "|"))
            }
        } catch {
            return ["failed: \(error.message)"]
        }
        return lines
    }

    private static let idioms = #"""
        CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b REAL, c BLOB)
        INSERT INTO t(a,b) VALUES('x',1.5),('y',2.0),('z',-0.0)
        SELECT * FROM t
        CREATE VIRTUAL TABLE ft USING fts5(title, body)
        INSERT INTO ft VALUES('hello','the quick brown fox'),('bye','the lazy dog')
        SELECT rowid, title FROM ft WHERE ft MATCH 'quick OR lazy' ORDER BY rank
        SELECT highlight(ft,1,'[',']') FROM ft WHERE ft MATCH 'fox'
        SELECT snippet(ft,1,'<','>','..',4) FROM ft WHERE ft MATCH 'dog'
        SELECT bm25(ft) < 0 FROM ft WHERE ft MATCH 'fox'
        INSERT INTO ft(ft) VALUES('optimize')
        INSERT INTO ft(ft) VALUES('rebuild')
        INSERT INTO ft(ft,rank) VALUES('merge',16)
        INSERT INTO ft(ft) VALUES('integrity-check')
        INSERT INTO ft(ft) VALUES('delete-all')
        DELETE FROM ft WHERE rowid=1
        UPDATE ft SET title='new' WHERE rowid=2
        SELECT count(*) FROM ft
        DROP TABLE ft
        CREATE VIRTUAL TABLE ft USING fts5(title, body, tokenize='porter unicode61')
        DROP TABLE ft
        SELECT name FROM sqlite_master ORDER BY name
        CREATE VIRTUAL TABLE f4 USING fts4(a, b, tokenize=porter)
        INSERT INTO f4 VALUES('running dogs','jumping')
        SELECT * FROM f4 WHERE f4 MATCH 'run'
        SELECT snippet(f4), offsets(f4) FROM f4 WHERE f4 MATCH 'dog'
        SELECT hex(matchinfo(f4)) FROM f4 WHERE f4 MATCH 'dog'
        INSERT INTO f4(f4) VALUES('optimize')
        INSERT INTO f4(f4) VALUES('rebuild')
        INSERT INTO f4(f4) VALUES('integrity-check')
        INSERT INTO f4(f4) VALUES('merge=2,8')
        INSERT INTO f4(f4) VALUES('automerge=4')
        DELETE FROM f4
        SELECT count(*) FROM f4
        CREATE VIRTUAL TABLE aux USING fts4aux(f4)
        SELECT count(*) FROM aux
        DROP TABLE aux
        DROP TABLE f4
        SELECT name FROM sqlite_master ORDER BY name
        CREATE VIRTUAL TABLE rt USING rtree(id, minx, maxx, miny, maxy, +label)
        INSERT INTO rt VALUES(1,0,1,0,1,'one'),(2,5,6,5,6,'two')
        SELECT id,label FROM rt WHERE minx>=0 AND maxx<=2
        UPDATE rt SET label='uno' WHERE id=1
        DELETE FROM rt WHERE id=2
        SELECT * FROM rt
        DROP TABLE rt
        SELECT name FROM sqlite_master ORDER BY name
        CREATE TABLE ext(id INTEGER PRIMARY KEY, txt TEXT)
        CREATE VIRTUAL TABLE fx USING fts5(txt, content='ext', content_rowid='id')
        CREATE TRIGGER ext_ai AFTER INSERT ON ext BEGIN INSERT INTO fx(rowid, txt) VALUES \#
        (new.id, new.txt); END
        CREATE TRIGGER ext_ad AFTER DELETE ON ext BEGIN INSERT INTO fx(fx, rowid, txt) \#
        VALUES('delete', old.id, old.txt); END
        CREATE TRIGGER ext_au AFTER UPDATE ON ext BEGIN INSERT INTO fx(fx, rowid, txt) \#
        VALUES('delete', old.id, old.txt); INSERT INTO fx(rowid, txt) VALUES (new.id, new.txt); \#
        END
        INSERT INTO ext(txt) VALUES('alpha beta'),('gamma delta')
        SELECT rowid, txt FROM fx WHERE fx MATCH 'gamma'
        UPDATE ext SET txt='epsilon' WHERE id=1
        SELECT rowid FROM fx WHERE fx MATCH 'alpha'
        SELECT rowid FROM fx WHERE fx MATCH 'epsilon'
        DELETE FROM ext
        SELECT count(*) FROM fx
        DROP TABLE fx
        DROP TABLE ext
        SELECT name FROM sqlite_master ORDER BY name
        CREATE VIRTUAL TABLE vv USING fts5vocab('nothere','row')
        DROP TABLE vv
        WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x+1 FROM c WHERE x<5) SELECT sum(x), \#
        group_concat(x) FROM c
        SELECT row_number() OVER (ORDER BY b), lag(a) OVER (ORDER BY id), sum(b) OVER (ORDER BY \#
        id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t
        SELECT json_extract('{"a":[1,2,{"b":3}]}','$.a[2].b'), json('{"x": 1}'), \#
        json_array(1,'a',null), json_object('k',1)
        SELECT key, value, type FROM json_each('{"a":1,"b":[2]}')
        SELECT fullkey, atom FROM json_tree('{"a":{"b":[1,2]}}')
        SELECT '{"a":5}' -> '$.a', '{"a":5}' ->> 'a'
        SELECT json_patch('{"a":1}','{"b":2}'), json_remove('[1,2,3]','$[1]'), \#
        json_set('{"a":1}','$.a',9), json_quote('x'), json_valid('{'), json_type('[1]'), \#
        json_array_length('[1,2]')
        SELECT json_group_array(a), json_group_object(a,b) FROM t
        SELECT printf('%05d|%-6s|%.3f|%x|%q|%Q|%w|%,d', \#
        42,'ab',3.14159,255,'it''s','it''s','a"b',1234567)
        SELECT hex(zeroblob(4)), typeof(zeroblob(1)), length(x'0102'), substr('hello',2,3), \#
        instr('hello','ll'), replace('aXbX','X','-'), trim('  a '), ltrim('xxa','x'), \#
        rtrim('axx','x'), upper('aß'), lower('AB')
        SELECT round(2.5), round(-2.567,2), abs(-3), min(1,2), max('a','b'), coalesce(null,1), \#
        ifnull(null,2), nullif(1,1), iif(1,'t','f'), sign(-2)
        SELECT unicode('A'), char(65,66), quote('it''s'), quote(x'ab'), quote(1.0), \#
        quote(null), soundex('x')
        SELECT sin(0), cos(0), pi(), sqrt(16), pow(2,10), ln(1), log(100), log2(8), exp(0), \#
        ceil(1.2), floor(1.8), mod(7,3), trunc(1.9), radians(180), degrees(pi()), atan2(0,1)
        SELECT date('2024-02-29','+1 year'), datetime('2024-01-31','+1 month'), \#
        time('12:34:56.789'), julianday('2000-01-01'), strftime('%Y-%m-%d %H:%M:%f %j %W %w \#
        %s','2024-03-01 01:02:03.456'), unixepoch('2000-01-01')
        SELECT datetime(1700000000,'unixepoch'), datetime(1700000000,'auto'), \#
        date('2024-05-05','weekday 0'), date('2024-05-05','start of month','-1 day')
        SELECT 'a' LIKE 'A', 'abc' GLOB 'a*', 'a' REGEXP 'a'
        SELECT 1/0, 1%0, 5/2, 5.0/2, 1e308*10, -1e308*10, 9223372036854775807+1, 0x10, 1 IS NOT \#
        2, 1 <> 2, 'a'||'b', ~5, 1<<3, 3&1, 3|4
        SELECT CAST('12abc' AS INTEGER), CAST('1.5' AS REAL), CAST(1.9 AS INTEGER), \#
        CAST(x'4142' AS TEXT), CAST('abc' AS NUMERIC)
        CREATE TABLE s(a INT, b TEXT, c ANY) STRICT
        INSERT INTO s VALUES(1,'x',1.5)
        INSERT INTO s VALUES('abc','x',1)
        SELECT typeof(a),typeof(c) FROM s
        CREATE TABLE w(k TEXT PRIMARY KEY, v) WITHOUT ROWID
        INSERT INTO w VALUES('b',1),('a',2)
        INSERT INTO w VALUES('a',3) ON CONFLICT(k) DO UPDATE SET v=v+excluded.v RETURNING k,v
        INSERT OR IGNORE INTO w VALUES('a',9)
        INSERT OR REPLACE INTO w VALUES('a',10)
        SELECT * FROM w
        CREATE TABLE g(a INT, b INT GENERATED ALWAYS AS (a*2) STORED, c INT AS (a+1))
        INSERT INTO g(a) VALUES(1),(2)
        SELECT * FROM g
        ALTER TABLE g ADD COLUMN d DEFAULT 'x'
        ALTER TABLE g RENAME COLUMN d TO e
        ALTER TABLE g DROP COLUMN e
        ALTER TABLE g RENAME TO g2
        SELECT sql FROM sqlite_master WHERE name='g2'
        CREATE INDEX gi ON g2(a) WHERE a>1
        CREATE UNIQUE INDEX gu ON g2(a, b DESC)
        CREATE INDEX ge ON g2(abs(a))
        REINDEX
        REINDEX g2
        REINDEX NOCASE
        DROP INDEX gi
        CREATE VIEW v(x,y) AS SELECT a,b FROM g2
        SELECT * FROM v
        CREATE TRIGGER vi INSTEAD OF INSERT ON v BEGIN INSERT INTO g2(a) VALUES(new.x); END
        INSERT INTO v VALUES(7,8)
        SELECT * FROM g2
        CREATE TABLE log(m)
        CREATE TRIGGER tu BEFORE UPDATE OF a ON t WHEN new.a IS NOT old.a BEGIN INSERT INTO log \#
        VALUES(old.a||'>'||new.a); SELECT RAISE(IGNORE) WHERE new.a='stop'; END
        UPDATE t SET a='q' WHERE id=1
        UPDATE t SET a='stop' WHERE id=2
        SELECT * FROM log
        SELECT a FROM t
        CREATE TABLE p(id INTEGER PRIMARY KEY)
        CREATE TABLE c(id INTEGER PRIMARY KEY, pid REFERENCES p ON DELETE CASCADE ON UPDATE \#
        CASCADE)
        INSERT INTO p VALUES(1),(2)
        INSERT INTO c(pid) VALUES(1),(2),(2)
        DELETE FROM p WHERE id=2
        SELECT count(*) FROM c
        CREATE TABLE au(id INTEGER PRIMARY KEY AUTOINCREMENT, x)
        INSERT INTO au(x) VALUES(1),(2)
        DELETE FROM au
        INSERT INTO au(x) VALUES(3) RETURNING id
        SELECT * FROM sqlite_sequence
        UPDATE sqlite_sequence SET seq=100 WHERE name='au'
        INSERT INTO au(x) VALUES(4) RETURNING id, x
        DELETE FROM sqlite_sequence
        INSERT INTO au(x) VALUES(5) RETURNING rowid
        UPDATE t SET b=b+1 WHERE id IN (SELECT id FROM t ORDER BY id LIMIT 2) RETURNING id,b
        DELETE FROM t WHERE id=3 RETURNING *
        UPDATE t SET a=w.k FROM w WHERE w.v=t.id
        SELECT * FROM t
        SELECT * FROM t NATURAL JOIN w
        SELECT * FROM t LEFT JOIN w ON w.v=t.id
        SELECT * FROM t FULL OUTER JOIN w ON w.v=t.id ORDER BY 1,5
        SELECT * FROM t RIGHT JOIN w ON w.v=t.id ORDER BY 5
        SELECT a FROM t UNION SELECT k FROM w EXCEPT SELECT 'b' ORDER BY 1
        SELECT a FROM t INTERSECT SELECT k FROM w
        SELECT count(*) FILTER (WHERE b>2), total(b), avg(b), group_concat(a,'-') FROM t
        SELECT a, count(*) FROM t GROUP BY a HAVING count(*)>0 ORDER BY a COLLATE NOCASE DESC \#
        NULLS LAST
        VALUES(1,'a'),(2,'b')
        SELECT ntile(2) OVER (ORDER BY id), dense_rank() OVER (ORDER BY a), first_value(a) OVER \#
        w2, nth_value(a,2) OVER w2 FROM t WINDOW w2 AS (ORDER BY id)
        PRAGMA table_info(t)
        PRAGMA table_xinfo(g2)
        PRAGMA index_list(g2)
        PRAGMA index_info(gu)
        PRAGMA index_xinfo(gu)
        PRAGMA foreign_key_list(c)
        PRAGMA user_version
        PRAGMA user_version=7
        PRAGMA user_version
        PRAGMA application_id=5
        PRAGMA application_id
        PRAGMA integrity_check
        PRAGMA quick_check
        PRAGMA foreign_key_check
        PRAGMA collation_list
        PRAGMA page_size
        SELECT name FROM pragma_table_info('t')
        SELECT name, type FROM sqlite_schema WHERE type='table' ORDER BY name
        ANALYZE
        ANALYZE t
        SELECT * FROM log
        CREATE TABLE IF NOT EXISTS t(x)
        DROP TABLE IF EXISTS nothere
        CREATE TABLE copy AS SELECT * FROM t
        SELECT sql FROM sqlite_master WHERE name='copy'
        INSERT INTO copy SELECT * FROM t
        INSERT INTO copy DEFAULT VALUES
        REPLACE INTO w VALUES('z',1)
        DELETE FROM copy
        DROP TABLE copy
        CREATE TABLE chk(a CHECK(a>0), b NOT NULL DEFAULT 5, c UNIQUE, d COLLATE NOCASE, e \#
        DEFAULT (1+2), f DEFAULT CURRENT_DATE)
        INSERT INTO chk(a,c) VALUES(0,1)
        INSERT INTO chk(a,c,d) VALUES(1,1,'A')
        INSERT INTO chk(a,c) VALUES(2,1)
        INSERT INTO chk(a,b) VALUES(2,NULL)
        SELECT a,b,c,d='a',e FROM chk
        SELECT likelihood(1,0.5), likely(1), unlikely(0)
        SELECT * FROM generate_series(1,3)
        SELECT DISTINCT b FROM t ORDER BY b LIMIT 1 OFFSET 1
        SELECT CASE WHEN 1 THEN 'a' ELSE 'b' END, CASE 2 WHEN 2 THEN 'two' END
        SELECT EXISTS(SELECT 1), (SELECT max(id) FROM t), 1 IN (1,2), 1 BETWEEN 0 AND 2, NULL \#
        IS NULL
        SELECT (1,2)=(1,2), (1,2)<(1,3)
        SELECT "a" FROM t LIMIT 1
        SELECT [a], `b` FROM t LIMIT 1
        SELECT x'00ff' = x'00FF'
        DROP VIEW v
        DROP TRIGGER tu
        DROP TABLE p
        DROP TABLE c
        DROP TABLE p
        SELECT name FROM sqlite_master ORDER BY name
        """#
}
