package import Chance
package import Raft

extension Xoshiro256 {
    /// 128 random bits: of a cluster, a question, a snapshot.
    package mutating func nextID() -> RandomID { RandomID(high: next(), low: next()) }
}
