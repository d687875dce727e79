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
    <th scope="row">6726</th>
    <td>?</td>
    <td>00:00</td>
    <td>IDLE</td>
    <td>&nbsp;</td>
    <td>198.51.100.1</td>
    <td>&nbsp;</td>
    <td>192.0.2.9:21</td>
   </tr>
   <tr>
    <th scope="row">6727</th>
    <td>joe</td>
    <td>01:02</td>
    <td>IDLE</td>
    <td>&nbsp;</td>
    <td>198.51.100.2</td>
    <td>&nbsp;</td>
    <td>192.0.2.9:21</td>
   </tr>
   <tr>
    <th scope="row">6728</th>
    <td>joe</td>
    <td>00:07</td>
    <td> DL </td>
    <td>/pub/big.iso</td>
    <td>198.51.100.3</td>
    <td>414062/976562 (42% - 10351 KB/s)</td>
    <td>192.0.2.9:21</td>
   </tr>
   <tr>
    <th scope="row">6729</th>
    <td>ann</td>
    <td>25:01</td>
    <td> DL </td>
    <td>/resumed</td>
    <td>2001:db8::7</td>
    <td>5120/10240 (50% - 40 KB/s)</td>
    <td>192.0.2.9:2121</td>
   </tr>
   <tr>
    <th scope="row">6730</th>
    <td>ann</td>
    <td>00:00</td>
    <td> UL </td>
    <td>/in/a b.txt</td>
    <td>198.51.100.5</td>
    <td>5 (0 KB/s)</td>
    <td>192.0.2.9:21</td>
   </tr>
   <tr>
    <th scope="row">6731</th>
    <td>ftp</td>
    <td>00:01</td>
    <td> UL </td>
    <td>/in/back\slash|bar</td>
    <td>198.51.100.6</td>
    <td>2929 (29 KB/s)</td>
    <td>192.0.2.9:21</td>
   </tr>
   <tr>
    <th scope="row">6732</th>
    <td>joe</td>
    <td>99:59</td>
    <td> DL </td>
    <td>/empty</td>
    <td>198.51.100.7</td>
    <td>&nbsp;</td>
    <td>192.0.2.9:21</td>
   </tr>
  </tbody>
 </table>
</div>
