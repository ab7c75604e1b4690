// Package fault is a network of numbered nodes in one process whose links can
// be cut and healed. Nodes dial each other through it over real TCP; it stands
// in between and holds back what a cut link must not carry.
//
// A cut link behaves as one that loses every packet: no end is notified, bytes wait
// until the link heals, new connections hang. A crashed node behaves as a killed
// process: its connections are reset and its address refuses new ones.
package fault
