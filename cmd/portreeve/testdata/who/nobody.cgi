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
  </tbody>
 </table>
</div>
