package import Raft

/// What candidates ask each other while they agree on a bootstrap, and the answers. Transport
/// carries the bytes without looking into them.
///
///     u8 version = 1, 2 if a list has names, 3 if it has drops | u8 kind | content
///     kind 1  prepare    ballot | list | introduction
///     kind 2  accept     ballot | list | bootstrap value | introduction
///     kind 3  chosen     bootstrap value
///     kind 4  inquiry    –
///     kind 16 promise    ballot | introduction | optional accepted | u32 count, lists
///     kind 17 accepted   ballot | incarnation
///     kind 18 outpaced   ballot asked for | ballot promised
///     kind 19 formed     cluster | optional bootstrap value
///     kind 20 unformed   bool holds an acceptance
///     kind 21 refused    ballot asked for | refusal
package enum FormationMessage: Hashable, Sendable {
    // Requests.

    /// Promise to accept nothing below this ballot (phase 1a of the synod).
    case prepare(Ballot, CandidateList, from: FormationIntroduction)
    /// Accept this value (phase 2a).
    case accept(Ballot, CandidateList, BootstrapValue, from: FormationIntroduction)
    /// A quorum has accepted this value.
    case chosen(BootstrapValue)
    /// Is there a cluster, or a value on the way?
    case inquiry

    // Answers.

    /// Phase 1b, with all that the acceptor knows from earlier ballots.
    case promise(Promise)
    /// Phase 2b.
    case accepted(Ballot, by: Incarnation)
    /// A higher ballot was promised to another proposer.
    case outpaced(Ballot, by: Ballot)
    /// There is a cluster: join it, or, if the value names you, start as its member.
    case formed(ClusterID, BootstrapValue?)
    case unformed(holdsAcceptance: Bool)
    case refused(Ballot, FormationRefusal)
}

extension FormationMessage {
    /// An acceptor's word not to take part in older ballots (phase 1b of Paxos).
    package struct Promise: Hashable, Sendable {
        /// The ballot that is promised.
        package let ballot: Ballot
        /// Who promises.
        package let acceptor: FormationIntroduction
        /// What it has accepted before; the proposer must propose that of the highest ballot.
        package let accepted: AcceptorState.Accepted?
        /// The lists of earlier promises.
        package let lists: [CandidateList]

        package init(
            ballot: Ballot, acceptor: FormationIntroduction, accepted: AcceptorState.Accepted?,
            lists: [CandidateList]
        ) {
            self.ballot = ballot
            self.acceptor = acceptor
            self.accepted = accepted
            self.lists = lists
        }
    }
}

/// Who a candidate is and what it wants to be.
///
///     identity | address | u8 suffrage | u32 bootstrap-expect
package struct FormationIntroduction: Hashable, Sendable {
    /// The node's ID and the incarnation of its data directory.
    package let identity: NodeIdentity
    /// The advertised Raft address.
    package let address: PeerAddress
    /// What it wants to be: a voter, or a read replica.
    package let suffrage: Suffrage
    /// 0: it joins only, and has no opinion on how many found a cluster.
    package let expect: Int

    package init(
        identity: NodeIdentity, address: PeerAddress, suffrage: Suffrage, expect: Int
    ) {
        self.identity = identity
        self.address = address
        self.suffrage = suffrage
        self.expect = expect
    }

    var member: Member {
        Member(
            id: identity.id, incarnation: identity.incarnation, address: address, suffrage: .voter)
    }
}
