# Prints what Perl's File::Listing makes of a listing: kind, size, time in seconds
# and name of each entry. Arguments: port, user, password, folder.
use strict;
use warnings;
use File::Listing qw(parse_dir);
use Net::FTP;

my ($port, $user, $password, $folder) = @ARGV;
my $ftp = Net::FTP->new('127.0.0.1', Port => $port) or die $@;
$ftp->login($user, $password) && $ftp->cwd($folder) or die $ftp->message;
my @lines = $ftp->dir or die $ftp->message;
for (parse_dir(join("\n", @lines), 'UTC', 'unix', 'die')) {
    my ($name, $type, $size, $time) = @$_;
    printf "%s\t%d\t%d\t%s\n", substr($type, 0, 1), $size // 0, $time, $name;
}
$ftp->quit;
