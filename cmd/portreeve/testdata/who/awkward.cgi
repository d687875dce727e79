Content-Type: text/html; charset=utf-8

<div id="ftp-status">
 <table>
  <thead>
   <tr>
    <th scope="col">PID</th>
    <th scope="col">Account</th>
    <th scope="col">Time</th>
    <th scope="col">State</th>
    <th scope="col">File name</th>
    <th scope="col">Remote host</th>
    <th scope="col">Kbytes</th>
    <th scope="col">Local host</th>
   </tr>
  </thead>
  <tbody>
   <tr>
    <th scope="row">1234567</th>
    <td>a-very-long-account@example.org</td>
    <td>1000:00</td>
    <td> DL </td>
    <td>/deep/deep/deep/deep/deep/deep/deep/deep/deep/deep/deep/deep/at-the-end.tar.gz</td>
    <td>2001:db8:1111:2222:3333:4444:5555:6666</td>
    <td>4882812500000000/7812500000000000 (63% - 5368709120 KB/s)</td>
    <td>[2001:db8:1111:2222:3333:4444:5555:7777]:65535</td>
   </tr>
   <tr>
    <th scope="row">2</th>
    <td>&lt;b&gt;&quot;joe&quot; &amp; 'ann'|\?[31m</td>
    <td>00:01</td>
    <td> UL </td>
    <td>/tab?nl?esc?]0;title? del? c1?2J sep? rtl‮�]]&gt;</td>
    <td>evil?[2J&quot;&lt;host&gt;</td>
    <td>1024 (0 KB/s)</td>
    <td>192.0.2.9:21</td>
   </tr>
   <tr>
    <th scope="row">3</th>
    <td>müller</td>
    <td>00:00</td>
    <td> UL </td>
    <td>/音楽/長い長い長い長い長い長い長い長い長い長い長い長い長い長い長い長い長い長い長い長い.flac</td>
    <td>a-host-whose-name-is-too-long.for-the-cell.example.org</td>
    <td>2147483648 (1048576 KB/s)</td>
    <td>192.0.2.9:21</td>
   </tr>
   <tr>
    <th scope="row">4</th>
    <td>joe</td>
    <td>00:00</td>
    <td>IDLE</td>
    <td>&nbsp;</td>
    <td>fe80::1%eth0</td>
    <td>&nbsp;</td>
    <td>192.0.2.9:21</td>
   </tr>
  </tbody>
 </table>
</div>
