// Package stats sums up what logs of transfers tell.
//
// A [Collector] is given entries and makes a [Report] of them. What it keeps
// depends on how many users, hosts and files there are, and not on how many
// lines; beyond a number of keys it folds the smallest ones together and says so.
package stats
